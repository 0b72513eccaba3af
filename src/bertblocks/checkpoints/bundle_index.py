"""A TF1 checkpoint's index: which tensor lies where in which data file.

Source: tensorflow/core/protobuf/tensor_bundle.proto and framework/types.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from bertblocks.checkpoints.crc32c import unmasked
from bertblocks.checkpoints.protobuf import read_fields, signed
from bertblocks.checkpoints.sstable import read_table
from bertblocks.errors import CheckpointError

ITEM_BYTES: Mapping[str, int] = {
    "float32": 4,
    "float64": 8,
    "int32": 4,
    "uint8": 1,
    "int16": 2,
    "int8": 1,
    "int64": 8,
    "bool": 1,
    "bfloat16": 2,
    "float16": 2,
}
_DTYPES: Mapping[int, str] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    19: "float16",
}
_MOST_SHARDS = 100_000
_MOST_AXES = 254  # TensorFlow's own limit
_LARGEST_BYTES = 1 << 62


@dataclass(frozen=True, kw_only=True)
class BundleEntry:
    """Where one tensor lies.

    Attributes:
        dtype: Name of its type, such as "float32".
        shape: As TF1 holds it.
        shard: Number of its data file.
        offset: Of its first byte there.
        num_bytes: Its length.
        crc32c: Of its bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    num_bytes: int
    crc32c: int


@dataclass(frozen=True, kw_only=True)
class BundleIndex:
    """What an index file holds.

    Attributes:
        num_shards: Data files.
        entries: By tensor name.
    """

    num_shards: int
    entries: Mapping[str, BundleEntry]


def read_bundle_index(content: bytes, origin: str) -> BundleIndex:
    """Read an index file.

    Args:
        content: Its bytes.
        origin: Its path, for messages.

    Raises:
        CheckpointError: If it is no index, is damaged, or its entries contradict each other.
    """
    try:
        table = read_table(content)
        num_shards = _num_shards(table.pop(b"", None))
        entries = {_name(key): _entry(value) for key, value in table.items()}
    except CheckpointError as error:
        raise CheckpointError(
            f"{origin} cannot be read as the index of a TF1 checkpoint: {error}. Copy or fetch it again."
        ) from error
    if problems := [*_entry_problems(entries, num_shards), *_overlaps(entries)]:
        raise CheckpointError(f"{origin} contradicts itself: {'; '.join(problems[:20])}.")
    return BundleIndex(num_shards=num_shards, entries=entries)


def _num_shards(header: bytes | None) -> int:
    if header is None:
        raise CheckpointError("it has no header")
    fields = dict(read_fields(header))
    num_shards = fields.get(1, 0)
    if not isinstance(num_shards, int) or not 1 <= num_shards <= _MOST_SHARDS:
        raise CheckpointError(f"it says that there are {num_shards!r} data files")
    if fields.get(2, 0) != 0:
        raise CheckpointError("its numbers are big-endian; only little-endian ones are read")
    return num_shards


def _name(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise CheckpointError(f"a tensor's name is not UTF-8: {key[:80]!r}") from None


def _entry(value: bytes) -> BundleEntry:
    numbers: dict[int, int] = {}
    shape: tuple[int, ...] = ()
    for field, found in read_fields(value):
        if field == 2 and isinstance(found, bytes):
            shape = _shape(found)
        elif field == 7:
            raise CheckpointError("a tensor is stored in slices, which no checkpoint of BERT is")
        elif isinstance(found, int):
            numbers[field] = found
    dtype = numbers.get(1, 0)
    return BundleEntry(
        dtype=_DTYPES.get(dtype, f"type {dtype}"),
        shape=shape,
        shard=signed(numbers.get(3, 0)),
        offset=signed(numbers.get(4, 0)),
        num_bytes=signed(numbers.get(5, 0)),
        crc32c=unmasked(numbers.get(6, 0)),
    )


def _shape(message: bytes) -> tuple[int, ...]:
    sizes = []
    for field, found in read_fields(message):
        if field == 3 and found:
            raise CheckpointError("a tensor's shape is not known")
        if field == 2 and isinstance(found, bytes):
            size = dict(read_fields(found)).get(1, 0)
            if not isinstance(size, int):
                raise CheckpointError("a tensor's shape cannot be read")
            sizes.append(signed(size))
    if len(sizes) > _MOST_AXES:
        raise CheckpointError(f"a tensor has {len(sizes):,} axes, and none can have more than {_MOST_AXES}")
    return tuple(sizes)


def _entry_problems(entries: Mapping[str, BundleEntry], num_shards: int) -> list[str]:
    problems = []
    for name, entry in entries.items():
        if min(entry.shape, default=0) < 0 or entry.offset < 0 or entry.num_bytes < 0:
            problems.append(f"{name} has a negative size or place")
        elif not 0 <= entry.shard < num_shards:
            problems.append(f"{name} lies in data file {entry.shard} of {num_shards}")
        elif entry.dtype in ITEM_BYTES:
            expected = math.prod(entry.shape) * ITEM_BYTES[entry.dtype]
            if entry.num_bytes != expected:
                # Python refuses to print a number of more than 4,300 digits.
                takes = f"{expected:,}" if expected <= _LARGEST_BYTES else "more than 2^62"
                problems.append(
                    f"{name} is {entry.dtype} {entry.shape}, which takes {takes} bytes, but is said to have "
                    f"{entry.num_bytes:,}"
                )
    return problems


def _overlaps(entries: Mapping[str, BundleEntry]) -> list[str]:
    placed = sorted(
        (entry.shard, entry.offset, entry.offset + entry.num_bytes, name)
        for name, entry in entries.items()
        if entry.num_bytes
    )
    return [
        f"{before[3]} and {after[3]} overlap in data file {after[0]}"
        for before, after in pairwise(placed)
        if before[0] == after[0] and after[1] < before[2]
    ]
