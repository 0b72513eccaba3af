"""A safetensors file's header, checked before the library maps the file.

    8 bytes   length of the header, little-endian
    header    JSON: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
    data      the tensors, one behind the other, without gaps

Source: the format's description in huggingface/safetensors. The library checks the same, but stops at the
first problem, takes the last of two equal names, and reads a header of any kind into memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from bertblocks._foreign_files import check_file, parse_json_object
from bertblocks.checkpoints.listing import listed
from bertblocks.errors import CheckpointError

_LARGEST_HEADER = 16 << 20
"""Most bytes of a header; a model of 100,000 tensors has 10 MB."""

_BITS: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}
_OTHER_FORMATS: Mapping[bytes, str] = {
    b"PK\x03\x04": "a zip archive, which a .bin of torch.save is: name it pytorch_model.bin if it is one",
    b"\x80\x02": "a pickle: name it pytorch_model.bin if it is one of torch.save",
    b"version": "a pointer to a file in git's large file storage: run `git lfs pull`",
    b"\x89HDF": "an HDF5 file, of TensorFlow or Keras",
    b"<": "a page of the web: the download failed",
}


def check_header(path: Path) -> dict[str, tuple[int, int]]:
    """Make sure that a file is what its header says, byte for byte.

    Returns:
        Where each tensor lies: its first byte in the file, and the one after its last.

    Raises:
        CheckpointError: If the file is no regular one, is cut or has bytes too many, is of another format, or
            its header contradicts itself; every problem of the tensors at once.
    """
    size = check_file(path)
    header, num_bytes = _read_header(path, size)
    problems = list(_problems(header, size - 8 - num_bytes))
    if problems:
        raise _unreadable(path, size, listed(problems, separator="; "))
    offsets = ((name, entry["data_offsets"]) for name, entry in header.items() if name != "__metadata__")
    return {name: (8 + num_bytes + first, 8 + num_bytes + last) for name, (first, last) in offsets}


def _read_header(path: Path, size: int) -> tuple[dict[str, Any], int]:
    """The parsed header, and how many bytes it has."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            num_bytes = int.from_bytes(start, "little")
            if problem := _length_problem(start, num_bytes, size):
                raise _unreadable(path, size, problem)
            content = file.read(num_bytes)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        return parse_json_object(content, "its header"), num_bytes
    except CheckpointError as error:
        raise _unreadable(path, size, str(error).rstrip(".")) from error


def _length_problem(start: bytes, num_bytes: int, size: int) -> str | None:
    if size < 8:
        return "it is empty" if not size else "it ends before its header"
    if 0 < num_bytes <= min(size - 8, _LARGEST_HEADER):
        return None
    found = next((kind for magic, kind in _OTHER_FORMATS.items() if start.startswith(magic)), None)
    if found and num_bytes > _LARGEST_HEADER:  # a small number may be a length, in a file that is cut
        return f"it looks like {found}"
    if num_bytes > size - 8:
        return f"its header should have {num_bytes:,} bytes, but only {size - 8:,} follow"
    return f"its header should have {num_bytes:,} bytes, expected 1 to {_LARGEST_HEADER:,}"


def _problems(header: Mapping[str, Any], num_data_bytes: int) -> Iterator[str]:
    """What is wrong with the entries one by one, or, where nothing is, with their places."""
    places = {}
    sound = True
    for name, entry in header.items():
        if name == "__metadata__":
            problem = _metadata_problem(entry)
        else:
            problem = _entry_problem(entry, num_data_bytes)
            if problem is None:
                places[name] = tuple(entry["data_offsets"])
        if problem:
            sound = False
            yield f"{name!r:.100} {problem}"
    if sound:
        yield from _place_problems(places, num_data_bytes)


def _metadata_problem(entry: Any) -> str | None:
    is_text = isinstance(entry, dict) and all(isinstance(value, str) for value in entry.values())
    return None if is_text else "is not an object of texts"


def _entry_problem(entry: Any, num_data_bytes: int) -> str | None:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        return f"is {entry!r:.100}, expected dtype, shape and data_offsets"
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        return f"has the unknown dtype {dtype!r:.50}, expected one of {', '.join(sorted(_BITS))}"
    if not _are_counts(shape):
        return f"has the shape {shape!r:.100}, expected a list of whole numbers"
    if not _are_counts(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= num_data_bytes:
        return (
            f"lies at {offsets!r:.100}, expected [first, last) within the {num_data_bytes:,} bytes of data: "
            "the file is cut, or was not written whole"
        )
    expected, found = math.prod(shape) * _BITS[dtype] // 8, offsets[1] - offsets[0]
    if expected != found:
        return f"is {dtype} {shape!r:.100}, which takes {expected:,} bytes, but has {found:,}"
    return None


def _are_counts(values: Any) -> bool:
    """Whether this is a list of numbers that a file can have; the product of a few stays small."""
    return (
        isinstance(values, list)
        and len(values) <= 64
        and all(type(value) is int and 0 <= value < 1 << 63 for value in values)
    )


def _place_problems(places: Mapping[str, tuple[int, ...]], num_data_bytes: int) -> Iterator[str]:
    ordered = sorted((first, last, name) for name, (first, last) in places.items())
    for before, after in pairwise([(0, 0, "the beginning"), *ordered]):
        if after[0] < before[1]:
            yield f"{before[2]!r:.100} and {after[2]!r:.100} overlap"
        elif after[0] > before[1]:
            yield f"{after[0] - before[1]:,} bytes before {after[2]!r:.100} belong to no tensor"
    end = max((last for _, last, _ in ordered), default=0)
    if end < num_data_bytes:
        yield f"{num_data_bytes - end:,} bytes at its end belong to no tensor"


def _unreadable(path: Path, size: int, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read as safetensors: {problem}. Found {size:,} bytes; expected a complete "
        ".safetensors file. Fetch or copy it again; a few hundred bytes are often only a pointer to the real "
        "file."
    )
