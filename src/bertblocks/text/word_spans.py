"""Tokens → the words of the text as people read them, with their places.

A word is what stands between white space; punctuation, symbols and emoji are words of their own, as in
Unicode's word boundaries (UAX #29): "don't", "3.5" and "snake_case" are one word. Scripts that are written
without spaces give no such places. There every character is a word (with the marks that belong to it), unless
one token of the vocabulary holds several: then these are one word. The same rule joins whatever else a token
holds together, so that no token ever belongs to two words.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bertblocks.text.basic_tokenization import is_punctuation
from bertblocks.text.token_spans import TokenSpan

NO_WORD = -1

_Kind = Literal["space", "letter", "single"]

# Ideographs, kana, and the scripts of South-East Asia that put no space between words.
_WITHOUT_SPACES = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF)),
    *((0x1B00, 0x1B7F), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3040, 0x312F), (0x31A0, 0x31BF)),
    *((0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF), (0xA980, 0xA9FF)),
    *((0xAA60, 0xAADF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F), (0x20000, 0x3FFFF)),
)
_STARTS = [start for start, _ in _WITHOUT_SPACES]
_ZERO_WIDTH_SPACE, _JOINER = "\u200b", "\u200d"
_SKIN_TONES = ("\U0001f3fb", "\U0001f3ff")
_FLAG_LETTERS = ("\U0001f1e6", "\U0001f1ff")
_HALF_WIDTH_MARKS = "\uff9e\uff9f"
_BETWEEN_LETTERS = frozenset("'’_\u00b7\u05f3\u05f4\u2027")
_BETWEEN_DIGITS = frozenset(".,'’")


@dataclass(frozen=True, kw_only=True)
class WordSpans:
    """The words of one text.

    Attributes:
        places: Where each begins and ends, in characters, from left to right; they do not overlap.
        word_of_token: For every token its word's number, or NO_WORD where the text has none.
    """

    places: tuple[tuple[int, int], ...]
    word_of_token: tuple[int, ...]


class _Stretch(NamedTuple):
    """Characters that are not taken apart: a character with its marks, or many of them."""

    start: int
    end: int
    kind: _Kind


def join_tokens(text: str, tokens: Sequence[TokenSpan]) -> WordSpans:
    """Find the words that tokens belong to.

    Args:
        text: What the tokens were made of.
        tokens: All of them, in order.

    Returns:
        The words that have a token. A token that stands for no character goes with the one after it, or
        before it where it is the last.
    """
    stretches = _word_stretches(text)
    touched = [_touched(stretches, token) for token in tokens]
    group_of = _groups(len(stretches), [found for found in touched if found is not None])
    groups = [None if found is None else group_of[found[0]] for found in touched]
    numbers = {group: number for number, group in enumerate(sorted({g for g in groups if g is not None}))}
    places: list[tuple[int, int]] = [(len(text), 0)] * len(numbers)
    for stretch, group in zip(stretches, group_of, strict=True):
        if group in numbers:
            start, end = places[numbers[group]]
            places[numbers[group]] = (min(start, stretch.start), max(end, stretch.end))
    own = [None if group is None else numbers[group] for group in groups]
    return WordSpans(places=tuple(places), word_of_token=tuple(_without_gaps(own)))


def _touched(stretches: Sequence[_Stretch], token: TokenSpan) -> tuple[int, int] | None:
    """The first and last stretch that a token has a character of."""
    if token.start >= token.end:
        return None
    first = bisect_right(stretches, token.start, key=lambda stretch: stretch.end)
    last = bisect_left(stretches, token.end, key=lambda stretch: stretch.start) - 1
    return (first, last) if first <= last else None


def _groups(num_stretches: int, touched: Sequence[tuple[int, int]]) -> list[int]:
    """For each stretch the number of its group: neighbours that a token holds together have the same."""
    # How many tokens hold each stretch to the one after it, as differences.
    changes = [0] * (num_stretches + 1)
    for first, last in touched:
        changes[first] += 1
        changes[last] -= 1
    groups, group, num_holding = [], 0, 0
    for index in range(num_stretches):
        groups.append(group)
        num_holding += changes[index]
        group += not num_holding
    return groups


def _without_gaps(words: list[int | None]) -> list[int]:
    """Each token's word, that of the token after it where it has none, or else of the one before."""
    after: int | None = None
    for index in range(len(words) - 1, -1, -1):
        after = words[index] = after if words[index] is None else words[index]
    before: int | None = None
    filled = []
    for word in words:
        before = before if word is None else word
        filled.append(NO_WORD if before is None else before)
    return filled


def _word_stretches(text: str) -> list[_Stretch]:
    """The parts of a text that are one word unless a token says more; white space is in none."""
    words: list[_Stretch] = []
    clusters = _clusters(text)
    for index, cluster in enumerate(clusters):
        follows = bool(words) and words[-1].end == cluster.start
        is_joint = cluster.kind == "single" and _is_joint(text, clusters, index)
        if follows and words[-1].kind == "letter" and (cluster.kind == "letter" or is_joint):
            words[-1] = _Stretch(words[-1].start, cluster.end, "letter")
        elif cluster.kind != "space":
            words.append(cluster)
    return words


def _is_joint(text: str, clusters: Sequence[_Stretch], index: int) -> bool:
    """Whether a cluster is a sign inside a word or a number, such as the apostrophe of "don't"."""
    if not 0 < index < len(clusters) - 1:
        return False
    before, after = clusters[index - 1], clusters[index + 1]
    if before.kind != "letter" or after.kind != "letter":
        return False
    sign = text[clusters[index].start : clusters[index].end]
    if text[before.end - 1].isdigit() and text[after.start].isdigit():
        return sign in _BETWEEN_DIGITS or sign == "_"
    return sign in _BETWEEN_LETTERS


def _clusters(text: str) -> list[_Stretch]:
    """Characters with the marks that belong to them, roughly as in Unicode's grapheme clusters (UAX #29)."""
    clusters: list[_Stretch] = []
    for index, char in enumerate(text):
        last = clusters[-1] if clusters else None
        if last is not None and last.kind != "space" and _belongs(text, index, last):
            clusters[-1] = _Stretch(last.start, index + 1, last.kind)
        else:
            clusters.append(_Stretch(index, index + 1, _kind(char)))
    return clusters


def _belongs(text: str, index: int, cluster: _Stretch) -> bool:
    """Whether a character belongs to the cluster before it."""
    char = text[index]
    if char == _ZERO_WIDTH_SPACE:
        return False
    if unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or char in _HALF_WIDTH_MARKS:
        return True
    if _SKIN_TONES[0] <= char <= _SKIN_TONES[1]:
        return True
    if text[index - 1] == _JOINER and cluster.kind == "single":
        return _kind(char) == "single"
    # Two of these letters make a flag.
    is_second = cluster.end - cluster.start == 1 and _is_flag_letter(text[cluster.start])
    return is_second and _is_flag_letter(char)


def _is_flag_letter(char: str) -> bool:
    return _FLAG_LETTERS[0] <= char <= _FLAG_LETTERS[1]


def _kind(char: str) -> _Kind:
    if char.isspace() or char == _ZERO_WIDTH_SPACE:
        return "space"
    category = unicodedata.category(char)
    if category in ("Cc", "Cf"):
        return "space"
    if is_punctuation(char) or category[0] in "PS" or _is_written_without_spaces(char):
        return "single"
    return "letter"


def _is_written_without_spaces(char: str) -> bool:
    index = bisect_right(_STARTS, ord(char)) - 1
    return index >= 0 and ord(char) <= _WITHOUT_SPACES[index][1]
