"""A sorted table of keys and values, as LevelDB lays it out: the form of a TF1 checkpoint's index.

    file: block … block, index block, footer
    block: entries, restart points, kind (1 byte), checksum (4 bytes)

Every block is checked against its checksum. Source: LevelDB's doc/table_format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bertblocks.checkpoints.crc32c import crc32c, unmasked
from bertblocks.checkpoints.protobuf import read_varint
from bertblocks.errors import CheckpointError

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # kind and checksum
_UNCOMPRESSED, _SNAPPY = 0, 1


def read_table(content: bytes) -> dict[bytes, bytes]:
    """Read a whole table.

    Args:
        content: The file.

    Returns:
        Values by key, in the order of the keys.

    Raises:
        CheckpointError: If it is not such a table, a block is damaged or compressed, or keys do not ascend.
    """
    if len(content) < _FOOTER_BYTES:
        raise CheckpointError(f"it has {len(content):,} bytes, fewer than the footer of such a table")
    footer = content[-_FOOTER_BYTES:]
    (magic,) = struct.unpack_from("<Q", footer, _FOOTER_BYTES - 8)
    if magic != _MAGIC:
        raise CheckpointError(f"it does not end in the mark of such a table, but in {footer[-8:].hex()}")
    position = 0
    for _ in range(2):  # the handle of the table of properties, which TensorFlow leaves empty
        _, position = read_varint(footer, position)
    entries: dict[bytes, bytes] = {}
    last: bytes | None = None
    reached = 0
    for _, handle in _entries(_block(content, *_place(footer, position))):
        offset, size = _place(handle, 0)
        # Else a small file could have one block read a million times.
        if offset < reached:
            raise CheckpointError(f"its blocks overlap: one begins at byte {offset:,}, before {reached:,}")
        reached = offset + size
        for key, value in _entries(_block(content, offset, size)):
            if last is not None and key <= last:
                raise CheckpointError(f"its keys are not ascending: {key[:80]!r} stands after {last[:80]!r}")
            entries[key] = value
            last = key
    return entries


def _place(handle: bytes, position: int) -> tuple[int, int]:
    """Offset and size of the block that a handle points to."""
    offset, position = read_varint(handle, position)
    size, _ = read_varint(handle, position)
    return offset, size


def _block(content: bytes, offset: int, size: int) -> bytes:
    """The entries and restart points of a block."""
    end = offset + size
    if end + _TRAILER_BYTES > len(content) - _FOOTER_BYTES:
        raise CheckpointError(f"it is cut: a block should end at byte {end + _TRAILER_BYTES:,}")
    kind = content[end]
    (stored,) = struct.unpack_from("<I", content, end + 1)
    if crc32c(content[offset : end + 1]) != unmasked(stored):
        raise CheckpointError(f"it is damaged: the block at byte {offset:,} does not have its checksum")
    if kind != _UNCOMPRESSED:
        name = "Snappy" if kind == _SNAPPY else f"kind {kind}"
        raise CheckpointError(f"a block is compressed ({name}), which no checkpoint of Google's is")
    return content[offset:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; a key repeats a stretch of the one before it."""
    if len(block) < 4:
        raise CheckpointError("a block has no restart points")
    (num_restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 * (num_restarts + 1)
    if num_restarts < 1 or end < 0:
        raise CheckpointError(f"a block of {len(block):,} bytes says {num_restarts:,} restart points")
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        own, position = read_varint(block, position)
        value_bytes, position = read_varint(block, position)
        if shared > len(key) or position + own + value_bytes > end:
            raise CheckpointError("an entry of a block breaks off")
        key = key[:shared] + block[position : position + own]
        position += own
        yield key, block[position : position + value_bytes]
        position += value_bytes
