"""TF1 checkpoints written plainly, byte by byte, so that tests can make good ones and forged ones.

Nothing of the reader helps here: the checksum goes bit by bit, and every message is spelled out. What is
forged gets right checksums, so that the reader has to notice the forgery itself.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MAGIC = bytes.fromhex("57fb808b247547db")
DTYPES = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "complex64": 8,
    "int64": 9,
    "bool": 10,
    "bfloat16": 14,
    "float16": 19,
}


@dataclass(kw_only=True)
class Entry:
    """What the index says of one tensor; tests change it to forge one."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    extra: bytes = b""

    def encoded(self) -> bytes:
        dims = b"".join(message(2, number(1, size)) for size in self.shape)
        return (
            number(1, self.dtype)
            + message(2, dims)
            + number(3, self.shard)
            + number(4, self.offset)
            + number(5, self.size)
            + b"\x35"  # field 6, four bytes
            + struct.pack("<I", masked(self.crc))
            + self.extra
        )


@dataclass(kw_only=True)
class Table:
    """Keys and values in blocks; every part can be replaced by a forged one."""

    entries: Sequence[tuple[bytes, bytes]]
    entries_per_block: int = 4
    kind: int = 0
    blocks: list[bytes] = field(default_factory=list)
    handles: list[bytes] = field(default_factory=list)

    def encoded(self) -> bytes:
        groups = [
            self.entries[start : start + self.entries_per_block]
            for start in range(0, len(self.entries), self.entries_per_block)
        ]
        blocks = self.blocks or [block(group) for group in groups]
        content, placed = b"", []
        for body in blocks:
            placed.append(varint(len(content)) + varint(len(body)))
            content += sealed(body, self.kind)
        keys = [group[-1][0] for group in groups] if not self.blocks else [b"%03d" % i for i in range(999)]
        handles = self.handles or placed
        index = block([(keys[min(i, len(keys) - 1)], handle) for i, handle in enumerate(handles)])
        properties = block([])
        footer = varint(len(content)) + varint(len(properties))
        content += sealed(properties)
        footer += varint(len(content)) + varint(len(index))
        content += sealed(index)
        return content + footer.ljust(40, b"\0") + MAGIC


def write_bundle(
    prefix: Path,
    tensors: Mapping[str, np.ndarray],
    *,
    num_shards: int = 1,
    forge: Callable[[dict[str, Entry]], None] = lambda entries: None,
    table: Callable[[Table], None] = lambda table: None,
    header: bytes | None = None,
) -> None:
    """Write PREFIX.index and its data files; tensor i goes to file i modulo num_shards.

    `forge` may change the entries and `table` the table, before they are encoded.
    """
    data = [b""] * num_shards
    entries = {}
    for index, (name, array) in enumerate(tensors.items()):
        shard, content = index % num_shards, array.tobytes()
        entries[name] = Entry(
            dtype=DTYPES[array.dtype.name],
            shape=array.shape,
            shard=shard,
            offset=len(data[shard]),
            size=len(content),
            crc=checksum(content),
        )
        data[shard] += content
    forge(entries)
    first = number(1, num_shards) + message(3, number(1, 1)) if header is None else header
    rows = sorted((name.encode(), entry.encoded()) for name, entry in entries.items())
    whole = Table(entries=[(b"", first), *rows])
    table(whole)
    prefix.with_name(f"{prefix.name}.index").write_bytes(whole.encoded())
    for shard, content in enumerate(data):
        name = f"{prefix.name}.data-{shard:05d}-of-{num_shards:05d}"
        prefix.with_name(name).write_bytes(content)


def block(entries: Sequence[tuple[bytes, bytes]], *, restart_every: int = 16) -> bytes:
    """Keys and values, each key without what it shares with the one before; then the restart points."""
    content, restarts, last = b"", [0], b""
    for index, (key, value) in enumerate(entries):
        shared = 0
        if index and index % restart_every == 0:
            restarts.append(len(content))
        elif index:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return content + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def sealed(body: bytes, kind: int = 0) -> bytes:
    """A block with its kind and the checksum of both."""
    content = body + bytes([kind])
    return content + struct.pack("<I", masked(checksum(content)))


def number(tag: int, value: int) -> bytes:
    """A numeric field of a message; zero is left out, as by TensorFlow."""
    return varint(tag << 3) + varint(value % (1 << 64)) if value else b""


def message(tag: int, content: bytes) -> bytes:
    """A field that holds a message."""
    return varint(tag << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the eighth says that more follow."""
    content = b""
    while value >= 128:
        content += bytes([value & 127 | 128])
        value >>= 7
    return content + bytes([value])


def checksum(content: bytes) -> int:
    """CRC-32C, a byte at a time."""
    state = 0xFFFFFFFF
    for byte in content:
        state = state >> 8 ^ _TABLE[(state ^ byte) & 255]
    return state ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """As LevelDB stores checksums."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _of_byte(state: int) -> int:
    for _ in range(8):
        state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state


_TABLE = [_of_byte(byte) for byte in range(256)]
