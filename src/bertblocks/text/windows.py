"""A text too long for the encoder, read in overlapping windows."""

from __future__ import annotations


def default_stride(room: int) -> int:
    """Three quarters of a window's room: every token but the outermost stands well inside some window."""
    return max(1, room * 3 // 4)


def window_starts(num_tokens: int, *, room: int, stride: int) -> list[int]:
    """Where the windows of a text begin.

    All have the same size; the last one ends where the text ends, so it may overlap more. A text that fits is
    one window.

    Args:
        num_tokens: Tokens of the text, without special ones.
        room: Tokens of the text that a window holds, at least 1.
        stride: Tokens from one beginning to the next, 1 to room.

    Returns:
        Ascending positions, the first 0.
    """
    return [*range(0, num_tokens - room, stride), max(0, num_tokens - room)]
