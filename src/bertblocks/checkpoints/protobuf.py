"""The little of Protocol Buffers' wire format that a checkpoint's index needs.

Source: "Encoding", the published description of the wire format.
"""

from __future__ import annotations

from collections.abc import Iterator

from bertblocks.errors import CheckpointError

_LONGEST_VARINT = 10  # bytes of a 64-bit number, 7 bits each


def read_varint(content: bytes, position: int) -> tuple[int, int]:
    """Read an unsigned number of variable length.

    Args:
        content: Where it stands.
        position: Of its first byte.

    Returns:
        The number, and the position behind it.

    Raises:
        CheckpointError: If the content ends within it, or it has more than 64 bits.
    """
    value = 0
    for index in range(_LONGEST_VARINT):
        if position + index >= len(content):
            raise CheckpointError("a number breaks off")
        byte = content[position + index]
        value |= (byte & 127) << 7 * index
        if byte < 128:
            if value >= 1 << 64:
                break
            return value, position + index + 1
    raise CheckpointError("a number has more than 64 bits")


def read_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Read a message's fields: numbers as unsigned integers, all else as bytes.

    Args:
        message: An encoded message.

    Yields:
        Field numbers with their values, in the order of the message.

    Raises:
        CheckpointError: If it is not an encoded message.
    """
    position = 0
    while position < len(message):
        key, position = read_varint(message, position)
        kind = key & 7
        if kind == 0:
            number, position = read_varint(message, position)
            yield key >> 3, number
            continue
        if kind == 2:
            length, position = read_varint(message, position)
        else:
            length = {1: 8, 5: 4}.get(kind, -1)
        if length < 0 or position + length > len(message):
            raise CheckpointError(f"a field of kind {kind} cannot be read or breaks off")
        part = message[position : position + length]
        position += length
        yield key >> 3, part if kind == 2 else int.from_bytes(part, "little")


def signed(number: int) -> int:
    """An int64 from the unsigned form in which it is encoded."""
    return number - (1 << 64) if number >= 1 << 63 else number
