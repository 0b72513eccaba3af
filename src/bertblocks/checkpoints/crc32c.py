"""CRC-32C in numpy: the checksum of TensorFlow's checkpoints.

CRC-32C is that of RFC 3720 (polynomial 0x1EDC6F41, bits reflected). A checksum is linear over GF(2): with T
the map that four more bytes apply to the 32 bits of state, the state after words w_0 … w_{n-1} is the sum of
T^(n-i) w_i. So a block of words is halved again and again, v = T^(half) v[:half] + v[half:], each time one
look-up of whole arrays, instead of a loop over bytes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41 with its bits reversed
_ONES = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8  # LevelDB's and TensorFlow's: a checksum of checksums would be weak
_LOG2_BLOCK_WORDS = 16  # 256 KiB: a block and the tables stay in a core's cache

_Bits = NDArray[np.uint32]


def crc32c(content: bytes | memoryview | NDArray[Any]) -> int:
    """The CRC-32C of bytes, or of a contiguous array's memory.

    Args:
        content: What to sum; of any length.
    """
    data = np.frombuffer(content, dtype=np.uint8)
    head = len(data) % 4
    state = _ONES
    for byte in data[:head].tolist():
        state = _byte_table()[(state ^ byte) & 255] ^ (state >> 8)
    words = data[head:].view("<u4") if head == 0 else data[head:].copy().view("<u4")
    block_words = 1 << _LOG2_BLOCK_WORDS
    first = len(words) % block_words
    for start, stop in _stretches(first, len(words), block_words):
        state = _advance(state, words[start:stop])
    return state ^ _ONES


def unmasked(stored: int) -> int:
    """The checksum behind the rotated form that LevelDB and TensorFlow store."""
    rotated = (stored - _MASK_DELTA) & _ONES
    return (rotated >> 17 | rotated << 15) & _ONES


def _stretches(first: int, length: int, step: int) -> list[tuple[int, int]]:
    starts = [0] if first else []
    starts += range(first, length, step)
    return list(zip(starts, [*starts[1:], length], strict=True)) if starts else []


def _advance(state: int, words: NDArray[np.uint32]) -> int:
    """The state after some words, at most a block of them."""
    # Zeros in front of a message change nothing, as long as the state joins where the message begins.
    num_levels = (len(words) - 1).bit_length()
    values = np.zeros(1 << num_levels, dtype=np.uint32)
    values[len(values) - len(words) :] = words
    values[len(values) - len(words)] ^= np.uint32(state)
    for level in reversed(range(num_levels)):
        half = 1 << level
        values = _apply(level, values[:half]) ^ values[half:]
    return int(_apply(0, values)[0])


def _apply(level: int, values: _Bits) -> _Bits:
    """T^(2^level) of each value."""
    low, high = _tables(level)
    halves = values.astype("<u4", copy=False).view("<u2").reshape(-1, 2)
    result: _Bits = low.take(halves[:, 0], mode="clip") ^ high.take(halves[:, 1], mode="clip")
    return result


@cache
def _tables(level: int) -> tuple[_Bits, _Bits]:
    """T^(2^level) of every lower and of every upper half of a word."""
    columns = _columns(level)
    return _sums(columns[:16]), _sums(columns[16:])


def _sums(columns: _Bits) -> _Bits:
    """The sum of every choice of columns, by the bits of its index."""
    sums = np.zeros(1, dtype=np.uint32)
    for column in columns:
        sums = np.concatenate([sums, sums ^ column])
    return sums


@cache
def _columns(level: int) -> _Bits:
    """T^(2^level) of each single bit: squared from the level below."""
    if level:
        return _apply(level - 1, _columns(level - 1))
    columns = []
    for bit in range(32):
        state = 1 << bit
        for _ in range(4):
            state = _byte_table()[state & 255] ^ (state >> 8)
        columns.append(state)
    return np.array(columns, dtype=np.uint32)


@cache
def _byte_table() -> tuple[int, ...]:
    """What a byte does to the state, bit by bit."""
    table = []
    for state in range(256):
        for _ in range(8):
            state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
        table.append(state)
    return tuple(table)
