"""CRC-32C in numpy: the checksum of TensorFlow's checkpoints.

CRC-32C is that of RFC 3720. A message is a polynomial over GF(2), its first bit the highest coefficient, and
its checksum the remainder by the generator P. P divides a sum of four powers,

    x^5275 + x^4508 + x^2751 + 1,

so it divides the same with each exponent times 8, 16, 32 or 64 (squaring a sum over GF(2) squares each
part). By it a word at the front is added to three words further on instead, whole stretches of the message at
once and without a table, until 5,275 words are left; then the same with smaller words, and single bytes last.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # 0x1EDC6F41 with its bits reversed
_ONES = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8  # LevelDB's and TensorFlow's: a checksum of checksums would be weak

# The multiple of lowest degree with four terms, found by trying all below it; a test divides it by P.
EXPONENTS = (5275, 4508, 2751, 0)
_SPAN = EXPONENTS[0]
_DISTANCES = tuple(_SPAN - exponent for exponent in EXPONENTS[1:])
_STEP = _DISTANCES[0]  # a longer stretch would be added to itself
_CHUNK_WORDS = 65_536  # 512 KiB, which stay in a core's cache


def crc32c(content: bytes | memoryview | NDArray[Any]) -> int:
    """The CRC-32C of bytes, or of a contiguous array's memory.

    Args:
        content: What to sum; of any length.
    """
    data = np.frombuffer(content, dtype=np.uint8)
    state = _ONES
    for word_bytes in (8, 4, 2, 1):
        num_words = len(data) // word_bytes
        if num_words > _SPAN:
            words = data[: num_words * word_bytes].view(f"<u{word_bytes}")
            rest = data[num_words * word_bytes :]
            data = np.concatenate([_folded(words, state).view(np.uint8), rest])
            state = 0  # it is in the words now
    table = _byte_table()
    for byte in data.tolist():
        state = table[(state ^ byte) & 255] ^ state >> 8
    return state ^ _ONES


def unmasked(stored: int) -> int:
    """The checksum behind the rotated form that LevelDB and TensorFlow store."""
    rotated = (stored - _MASK_DELTA) & _ONES
    return (rotated >> 17 | rotated << 15) & _ONES


def _folded(words: NDArray[Any], state: int) -> NDArray[Any]:
    """The last words, as many as `_SPAN`, with all words before them and the state added."""
    left: NDArray[Any] = words[:_SPAN].copy()
    left.view(np.uint8)[:4] ^= np.array([state], dtype="<u4").view(np.uint8)
    for start in range(_SPAN, len(words), _CHUNK_WORDS):
        chunk = np.concatenate([left, words[start : start + _CHUNK_WORDS]])
        end = len(chunk) - _SPAN
        for first in range(0, end, _STEP):
            stretch = chunk[first : min(first + _STEP, end)]
            for distance in _DISTANCES:
                target = chunk[first + distance : first + distance + len(stretch)]
                np.bitwise_xor(target, stretch, out=target)
        left = chunk[end:]
    return left


@cache
def _byte_table() -> tuple[int, ...]:
    """What a byte does to the state, bit by bit."""
    table = []
    for state in range(256):
        for _ in range(8):
            state = state >> 1 ^ (_POLYNOMIAL if state & 1 else 0)
        table.append(state)
    return tuple(table)
