"""Where a token lies in the text that it was made of."""

from __future__ import annotations

from typing import NamedTuple


class TokenSpan(NamedTuple):
    """A token and its part of the text.

    Attributes:
        token_id: Its id.
        start: Its first character in the text, counted from 0.
        end: The character after its last one; start again for a token that stands for no character.
    """

    token_id: int
    start: int
    end: int
