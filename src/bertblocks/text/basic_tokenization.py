"""Google's basic tokenization, exactly, for the texts that do not take the Rust library's path.

The algorithm is BasicTokenizer of Google's `tokenization.py`: clean the text, put spaces around CJK
characters, split at white space; uncased: lowercase, decompose and strip accents; split at punctuation. Every
character property comes from the tables of Unicode 14.0 in `_unicode_tables`. What still follows the running
Python is `str.lower` and the decomposition of the characters that are assigned in 14.0; both are stable by
Unicode's policy. See docs/numerics.md, "Tokenization".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bertblocks.text import _unicode_tables as tables
from bertblocks.text.vocabulary import Casing

_SURROGATES = "d800-dfff"
_BEYOND_BMP = "10000-10ffff"
# A run this long is sorted here: CPython's own canonical ordering takes quadratic time.
_LONG_RUN = 32


def _character_class(ranges: Iterable[str]) -> str:
    """Turn hexadecimal ranges into a regular expression's `[...]`."""
    bounds = (text.partition("-") for text in ranges)
    return "[" + "".join(f"\\U{first:0>8}-\\U{last or first:0>8}" for first, _, last in bounds) + "]"


def _one_of(*ranges: str) -> str:
    """A pattern for one character out of tables of ranges.

    Python looks a character up in a bitmap only within the first 65,536; later ranges are tried one by one,
    for every character. So these are tried only where a character lies beyond.
    """
    table = [text for part in ranges for text in part.split()]
    first_plane = [text for text in table if int(text.partition("-")[0], 16) <= 0xFFFF]
    return f"{_character_class([*first_plane, _BEYOND_BMP])}(?<={_character_class(table)})"


_LIBRARY_DIFFERS = re.compile(_one_of(tables.RUST_DIFFERS, _SURROGATES))
# Python lowercases a final capital sigma to another letter; before a Greek letter it is never final.
_MAYBE_FINAL_SIGMA = re.compile("Σ(?![Α-Ωα-ώ])")
_DROPPED = re.compile(_one_of(tables.DROPPED))
_CJK = re.compile(_one_of(tables.CJK))
_PUNCTUATION = re.compile(_one_of(tables.PUNCTUATION))
_ACCENTS = re.compile(_one_of(tables.NONSPACING_MARKS))
_UNASSIGNED = re.compile(f"({_one_of(tables.UNASSIGNED)})")
# Three characters are no combining marks, but decompose into them (UAX #15, "non-starter decompositions").
_MARKS = f"{tables.COMBINING} f73 f75 f81"
_COMBINING = _character_class(_MARKS.split())
_COMBINING_RUN = re.compile(f"{_one_of(_MARKS)}{_COMBINING}{{{_LONG_RUN - 1},}}")


def library_agrees(text: str, casing: Casing) -> bool:
    """Say whether the Rust library splits this text as Google does, so that the fast path may take it."""
    if text.isascii():
        return True
    if _LIBRARY_DIFFERS.search(text):
        return False
    return casing == "cased" or "Σ" not in text or not _MAYBE_FINAL_SIGMA.search(text)


def split_words(text: str, casing: Casing) -> str:
    """Split a text into words as Google does, in linear time.

    Args:
        text: Any string, lone surrogates and NUL included.
        casing: That of the vocabulary; "uncased" lowercases and strips accents.

    Returns:
        The words, ready for WordPiece, joined by single spaces.
    """
    text = _CJK.sub(r" \g<0> ", _DROPPED.sub("", text))
    if casing == "uncased":
        # Google folds word by word: the same, as white space neither combines nor continues a word's case.
        text = _fold_known(text)
    return " ".join(_PUNCTUATION.sub(r" \g<0> ", text).split())


class PlacedWord(NamedTuple):
    """A word as split_words gives it, and where its characters come from.

    Attributes:
        characters: The word, folded where the vocabulary is uncased.
        places: For each of its characters where it begins and ends in the text. Where folding has mixed the
            characters of a word, each comes from all of them.
    """

    characters: str
    places: Sequence[tuple[int, int]]


def placed_words(text: str, casing: Casing) -> Iterator[PlacedWord]:
    """Split a text as split_words does, and tell where in it every character comes from."""
    for indices in _stretches(text):
        word = _placed(text, indices, casing)
        start = 0
        for found in _PUNCTUATION.finditer(word.characters):
            for begin, end in ((start, found.start()), found.span()):
                if begin < end:
                    yield PlacedWord(word.characters[begin:end], word.places[begin:end])
            start = found.end()
        if start < len(word.characters):
            yield PlacedWord(word.characters[start:], word.places[start:])


def is_punctuation(char: str) -> bool:
    """Whether Google splits words at a character."""
    return _PUNCTUATION.fullmatch(char) is not None


def _stretches(text: str) -> Iterator[list[int]]:
    """Where the characters lie that stand between white space; a CJK character stands alone."""
    dropped = {found.start() for found in _DROPPED.finditer(text)}
    ideographs = {found.start() for found in _CJK.finditer(text)}
    stretch: list[int] = []
    for index, char in enumerate(text):
        if index in dropped:
            continue
        if stretch and (char.isspace() or index in ideographs):
            yield stretch
            stretch = []
        if index in ideographs:
            yield [index]
        elif not char.isspace():
            stretch.append(index)
    if stretch:
        yield stretch


def _placed(text: str, indices: Sequence[int], casing: Casing) -> PlacedWord:
    own = [text[index] for index in indices]
    if casing == "cased":
        return PlacedWord("".join(own), [(index, index + 1) for index in indices])
    word = _fold_known("".join(own))
    alone = [_fold_known(char) for char in own]
    # A sigma is another letter at the end of a word: it stays in its place.
    if "".join(alone).replace("ς", "σ") == word.replace("ς", "σ"):
        places = zip(indices, alone, strict=True)
        return PlacedWord(word, [(index, index + 1) for index, folded in places for _ in folded])
    # Marks have changed places with each other.
    return PlacedWord(word, [(indices[0], indices[-1] + 1)] * len(word))


def _fold_known(text: str) -> str:
    """Fold all but the characters that 14.0 does not know, whatever a newer Python knows about them."""
    parts = _UNASSIGNED.split(text)
    parts[::2] = map(_fold, parts[::2])
    return "".join(parts)


def _fold(text: str) -> str:
    """Lowercase, decompose canonically and strip the non-spacing marks."""
    text = _COMBINING_RUN.sub(lambda run: _in_canonical_order(run[0]), text.lower())
    return _ACCENTS.sub("", unicodedata.normalize("NFD", text))


def _in_canonical_order(marks: str) -> str:
    """Decompose a run of combining marks and sort it by combining class, stably, in O(n log n)."""
    decomposed = "".join(unicodedata.normalize("NFD", mark) for mark in marks)
    return "".join(sorted(decomposed, key=unicodedata.combining))
