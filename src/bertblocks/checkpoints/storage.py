"""How a tensor lies on disk: one safetensors file of ordinary tensors, or of 4-bit ones (q4).

Ordinary tensors are stored under their own name. In a q4 file, which says so in its metadata
(`bertblocks_storage: q4`), a matrix NAME of shape (rows, cols) may instead be stored as two tensors:

    NAME            uint8,   (rows, cols / 2)    byte j of a row: columns 2j (low nibble) and 2j + 1 (high)
    NAME.q4_scale   float16, (rows, cols / 32)   one scale for each 32 columns that follow each other

    value = (nibble - 8) · scale

These are the values of ggml's Q4_0 blocks; only the order of the nibbles differs. Neighbouring columns share
a byte, because one byte is then one entry of a table of float32 pairs, and its place in the output follows
from its place in the input: 83 million values in 0.2 s on one thread. Shifting and masking whole tensors took
as long on two, and held three times the memory. A 4-bit integer times a float16 has at most 15 significant
bits: it is exact in float32.

The nibbles have the matrix's own name, so that a reader who does not know q4 finds a tensor of the wrong
shape and stops; under another name transformers 5 would draw the matrix at random and only warn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bertblocks._files import replace_when_done
from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.safetensors_header import check_header
from bertblocks.errors import CheckpointError, ConfigError

Q4_GROUP = 32
"""Columns that share one scale."""

Q4_METADATA: Mapping[str, str] = {"bertblocks_storage": "q4"}
"""What declares a q4 file.

One entry alone, so that equal tensors give equal bytes: safetensors writes several in an order that changes
from call to call. Without "format", transformers 4 refuses the file."""

_STORAGE_KEY = "bertblocks_storage"
_SCALES = ".q4_scale"
_DTYPES: Mapping[str, torch.dtype] = {
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_TARGETS = (torch.float32, torch.bfloat16, torch.float16)
_STEP_VALUES = 32_000
"""Read at once where values are converted on the way: few enough for a core's cache, and for one thread."""
_CHUNK_BYTES = 12_000
"""Packed q4 bytes per step.

Their float32 values stay in a core's cache, and are fewer than the 32,768 from which on torch shares a copy
among its threads: on busy cores, waiting for each other 1,000 times took them up to 10 s."""
_PAIR_OF_BYTE = (
    np.array([(byte & 15, byte >> 4) for byte in range(256)], dtype=np.float32) - np.float32(8)
).view(np.uint64)[:, 0]  # two float32 as one 8-byte item, so that one table look-up moves both


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One tensor as the file's header declares it."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A file's header in the library's hands, and its data in ours.

    The library maps a file, and what is read from a mapping counts as this process's memory until it is
    closed: a second copy of the weights, for as long as they are read.
    """

    library: Any
    data: BufferedReader
    places: Mapping[str, tuple[int, int]]


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a file's tensors, from its header alone; a q4 matrix counts as one tensor.

    Raises:
        CheckpointError: If the file is not readable as safetensors, or a tensor is not stored in a known way.
    """
    with _opened(path) as file:
        return _checked_shapes(path, file.library)


def read_tensors(
    path: Path, names: Iterable[str] | None = None, *, dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """Read the tensors of one safetensors file, 4-bit ones included; as each_tensor, all at once.

    Returns:
        The tensors by name, in the order of `names`, or of the file.
    """
    return dict(each_tensor(path, names, dtype=dtype))


def each_tensor(
    path: Path, names: Iterable[str] | None = None, *, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[str, torch.Tensor]]:
    """Read one tensor after another, so that a caller may convert each before the next is in memory.

    The tensors own their memory: the file may be replaced or deleted afterwards.

    Args:
        path: The file.
        names: Which tensors; all of them by default. A q4 matrix is asked for by its own name.
        dtype: What floating point tensors are converted to: float32, bfloat16 or float16. Others, such as
            integer position ids, stay as they are.

    Yields:
        Names and tensors, in the order of `names`, or of the file.

    Raises:
        CheckpointError: If the file is not readable as safetensors, lacks a name, or stores a tensor in a way
            that is not known; all problems at once, before a tensor is read.
        ConfigError: If dtype is none of the three.
    """
    if dtype not in _TARGETS:
        raise ConfigError(f"Tensors cannot be read as {dtype}; choose one of {listed(map(str, _TARGETS))}.")
    with _opened(path) as file:
        shapes = _checked_shapes(path, file.library)
        wanted = list(shapes) if names is None else list(dict.fromkeys(names))
        if missing := [name for name in wanted if name not in shapes]:
            raise CheckpointError(f"{path} has no tensor {listed(missing)}; it has {listed(shapes, 8)}.")
        scaled = set(file.places) - set(shapes)
        for name in wanted:
            yield name, _read(file, name, dtype, q4=name + _SCALES in scaled)


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors into one safetensors file, in their own dtypes.

    The file takes its place only when it is complete. Equal tensors give equal bytes, as long as metadata has
    no more than one entry.

    Args:
        path: The file; missing parent folders are made.
        tensors: By name, on any device, contiguous or not; several may be views of the same memory.
        metadata: The header's free entries; `{"format": "pt"}` by default, which transformers asks for.

    Raises:
        CheckpointError: If the file cannot be written.
    """
    entries = {"format": "pt"} if metadata is None else dict(metadata)
    try:
        with replace_when_done(path) as partial:
            partial.touch()
            mode = partial.stat().st_mode  # of any new file here; safetensors makes its own private
            save_file(_separate(tensors), partial, metadata=entries)
            partial.chmod(mode)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written: {error}. Check that its folder is writable and has space."
        ) from error


def pack_q4(
    name: str, nibbles: np.ndarray[Any, Any], scales: np.ndarray[Any, Any]
) -> dict[str, torch.Tensor]:
    """Lay out one matrix that is already quantized as the two tensors of a q4 file.

    Args:
        name: The matrix's own name.
        nibbles: Unsigned 4-bit values, uint8, shape (rows, cols); cols is a multiple of 32.
        scales: One for each 32 columns of a row, float16, shape (rows, cols / 32).

    Returns:
        `NAME` and `NAME.q4_scale`, to be written with `metadata=Q4_METADATA`.

    Raises:
        CheckpointError: If shapes, dtypes or values do not fit together; all problems at once.
    """
    problems = []
    if nibbles.dtype != np.uint8 or nibbles.ndim != 2 or nibbles.shape[1] % Q4_GROUP:
        problems.append(
            f"nibbles are {nibbles.dtype} {nibbles.shape}, but must be uint8 (rows, a multiple of {Q4_GROUP})"
        )
    elif (highest := int(nibbles.max(initial=0))) > 15:
        problems.append(f"the highest nibble is {highest}, but 4 bits hold 0 to 15")
    expected = (*nibbles.shape[:-1], nibbles.shape[-1] // Q4_GROUP) if nibbles.ndim else ()
    if scales.dtype != np.float16 or scales.shape != expected:
        problems.append(f"scales are {scales.dtype} {scales.shape}, but must be float16 {expected}")
    if problems:
        raise CheckpointError(f"{name} cannot be stored as q4: {'; '.join(problems)}.")
    packed = nibbles[:, 0::2] | nibbles[:, 1::2] << 4
    return {
        name: torch.from_numpy(packed),
        name + _SCALES: torch.from_numpy(np.array(scales)),
    }


@contextmanager
def _opened(path: Path) -> Iterator[_Opened]:
    """Open a safetensors file; what is wrong with it as a whole becomes a CheckpointError."""
    places = check_header(path)
    try:
        file, data = safe_open(path, framework="pt"), path.open("rb")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read as safetensors: {error}. Found {path.stat().st_size:,} bytes; expected a "
            "complete .safetensors file. Fetch or copy it again."
        ) from error
    with file, data:
        yield _Opened(library=file, data=data, places=places)


def _checked_shapes(path: Path, file: Any) -> dict[str, tuple[int, ...]]:
    """The logical tensors of an open file, or every problem with how they are stored."""
    storage = (file.metadata() or {}).get(_STORAGE_KEY)
    if storage not in (None, Q4_METADATA[_STORAGE_KEY]):
        raise CheckpointError(
            f"{path} is stored as {storage!r}, which this version does not know; it knows ordinary files and "
            "'q4'. A newer bertblocks may read it."
        )
    parts = {name: _part(file.get_slice(name)) for name in file.keys()}  # noqa: SIM118 - not a mapping
    shapes, problems = {}, []
    for name, part in parts.items():
        if storage and name.endswith(_SCALES):
            matrix = parts.get(name.removesuffix(_SCALES))
            if matrix is None or matrix.dtype != "U8":
                problems.append(f"{name} is there, but no uint8 {name.removesuffix(_SCALES)}")
        elif storage and part.dtype == "U8":
            shapes[name] = (*part.shape[:-1], *(num_bytes * 2 for num_bytes in part.shape[-1:]))
            problems += _q4_problems(name, part, parts.get(name + _SCALES))
        else:
            shapes[name] = part.shape
            if part.dtype not in _DTYPES:
                problems.append(f"{name} has dtype {part.dtype}, expected one of {', '.join(_DTYPES)}")
    if problems:
        told = listed(problems, separator="; ")
        raise CheckpointError(f"{path} stores tensors in a way that cannot be read: {told}.")
    return shapes


def _part(stored: Any) -> _Part:
    return _Part(dtype=stored.get_dtype(), shape=tuple(stored.get_shape()))


def _q4_problems(name: str, nibbles: _Part, scales: _Part | None) -> list[str]:
    """What keeps the two tensors of a q4 matrix from fitting together."""
    if scales is None:
        return [f"{name} is uint8, but its {name}{_SCALES} is missing"]
    if len(nibbles.shape) != 2 or nibbles.shape[1] * 2 % Q4_GROUP:
        return [f"{name} is uint8 {nibbles.shape}, expected (rows, a multiple of {Q4_GROUP // 2})"]
    expected = (nibbles.shape[0], nibbles.shape[1] * 2 // Q4_GROUP)
    if scales.dtype != "F16" or scales.shape != expected:
        return [f"{name}{_SCALES} is {scales.dtype} {scales.shape}, expected F16 {expected}"]
    return []


def _read(file: _Opened, name: str, dtype: torch.dtype, *, q4: bool) -> torch.Tensor:
    if q4:
        nibbles, scales = (_stored(file, part, dtype=None) for part in (name, name + _SCALES))
        return _dequantized(nibbles, scales, dtype)
    return _stored(file, name, dtype=dtype)


def _stored(file: _Opened, name: str, *, dtype: torch.dtype | None) -> torch.Tensor:
    """A tensor as it lies in the file, floating point ones in `dtype` where one is given."""
    part = _part(file.library.get_slice(name))
    kind = _DTYPES[part.dtype]
    tensor = torch.empty(part.shape, dtype=dtype if dtype and kind.is_floating_point else kind)
    flat = tensor.view(-1)
    file.data.seek(file.places[name][0])
    if tensor.dtype == kind:
        _fill(file.data, flat, name)
        return tensor
    buffer = torch.empty(min(_STEP_VALUES, len(flat)), dtype=kind)
    for start in range(0, len(flat), _STEP_VALUES):
        values = buffer[: len(flat) - start]
        _fill(file.data, values, name)
        flat[start : start + _STEP_VALUES] = values
    return tensor


def _fill(data: BufferedReader, flat: torch.Tensor, name: str) -> None:
    """Read a tensor's bytes into its own memory."""
    room = flat.view(torch.uint8).numpy().data
    while room:
        num_bytes = data.readinto(room)
        if not num_bytes:
            raise CheckpointError(f"{data.name} ends within {name}: it has been cut since it was opened.")
        room = room[num_bytes:]


def _dequantized(nibbles: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Values of a q4 matrix, shape (rows, cols), computed in float32 and rounded once to dtype."""
    rows, num_bytes = nibbles.shape
    values = torch.empty(rows, num_bytes * 2, dtype=dtype)
    packed, scale = nibbles.numpy(), scales.numpy()
    step = max(1, _CHUNK_BYTES // max(1, num_bytes))
    for start in range(0, rows, step):
        chunk = slice(start, start + step)
        pairs = np.take(_PAIR_OF_BYTE, packed[chunk], mode="clip")  # "clip" skips the check of every index
        groups = pairs.view(np.float32).reshape(len(pairs), -1, Q4_GROUP)
        groups *= scale[chunk, :, None].astype(np.float32)
        values[chunk] = torch.from_numpy(groups).flatten(1)
    return values


def _separate(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous tensors of which no two share memory, as safetensors requires."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        own = tensor.detach().contiguous()
        address = own.untyped_storage().data_ptr()
        separate[name] = own.clone() if address in seen else own
        seen.add(address)
    return separate
