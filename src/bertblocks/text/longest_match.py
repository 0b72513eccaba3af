"""Words → pieces as Google's WordPiece cuts them, at a cost that does not grow with the word.

Google's code, and the library's, try every end of a word from the last one down to find the longest piece
that begins somewhere: a word of 200 characters takes 20,000 lookups. Here a piece grows by one character as
long as any piece of the vocabulary begins so, which finds the same piece in as many steps as it is long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bertblocks.text.vocabulary import CONTINUATION

# Google's limit for a word, in characters; the library's own default is 100. See docs/numerics.md,
# "Tokenization".
MAX_CHARACTERS_PER_WORD = 200

# White space, punctuation and CJK characters end a word; where another character does so too, time is lost.
_NUM_LONG = 50
_IN_WORD = r"[^\s!-/:-@\[-`{-~\u2000-\u206f\u3000-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uff0f]"
_LONG_WORD = re.compile(f"{_IN_WORD}{{{_NUM_LONG}}}")


class Piece(NamedTuple):
    """A piece of a word: its id, and the character of the word that it ends before."""

    token_id: int
    end: int


def has_long_word(text: str) -> bool:
    """Say whether a text may have a word of 50 characters, from where on the library is the slower one."""
    return len(text) >= _NUM_LONG and _LONG_WORD.search(text) is not None


class LongestMatch:
    """Cuts words into the longest pieces of a vocabulary, from the left.

    Args:
        ids: The id of each piece; those within a word begin with "##".
        unknown: The id of a word that cannot be cut, or is too long.
    """

    def __init__(self, ids: Mapping[str, int], unknown: int) -> None:
        self._ids = ids
        self._unknown = unknown
        self._beginnings = {piece[:end] for piece in ids for end in range(1, len(piece))}

    def encode(self, word: str) -> list[int]:
        """Ids of the pieces of a word."""
        return [piece.token_id for piece in self.cut(word)]

    def cut(self, word: str) -> Sequence[Piece]:
        """The pieces of a word; one of all of it where it is unknown."""
        unknown = [Piece(self._unknown, len(word))]
        if len(word) > MAX_CHARACTERS_PER_WORD:
            return unknown
        found: list[Piece] = []
        start = 0
        while start < len(word):
            piece = self._longest(word, start)
            if piece is None:
                return unknown
            found.append(piece)
            start = piece.end
        return found

    def _longest(self, word: str, start: int) -> Piece | None:
        longest = None
        piece = CONTINUATION if start else ""
        for end in range(start + 1, len(word) + 1):
            piece += word[end - 1]
            if piece in self._ids:
                longest = Piece(self._ids[piece], end)
            if piece not in self._beginnings:
                break
        return longest
