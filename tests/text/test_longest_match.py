"""Words cut into the longest pieces: as the plain algorithm cuts them, and at what cost."""

from __future__ import annotations

import random

import pytest
from test_google_parity import GoogleReference

from bertblocks.text import load_tokenizer
from bertblocks.text import wordpiece as wordpiece_module
from bertblocks.text.longest_match import LongestMatch, has_long_word

UNKNOWN = "[UNK]"


class CountingIds(dict[str, int]):
    """Counts how often a piece is looked for."""

    num_lookups = 0

    def __contains__(self, key: object) -> bool:
        self.num_lookups += 1
        return super().__contains__(key)


def ids_of(*pieces: str) -> dict[str, int]:
    return {piece: index for index, piece in enumerate([UNKNOWN, *pieces])}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ab", ["ab"]),
        ("abcd", ["abcd"]),
        ("abce", ["ab", "##c", "##e"]),  # "abc" is none, though "abcd" begins so
        ("abcdabcd", ["abcd", UNKNOWN]),
        ("b", [UNKNOWN]),
        ("", []),
        ("c" * 200, [UNKNOWN]),
        ("a" * 200, ["a", *["##a"] * 199]),
        ("a" * 201, [UNKNOWN]),
    ],
)
def test_words(word: str, expected: list[str]) -> None:
    ids = ids_of("a", "ab", "abcd", "##c", "##a", "##e")
    if expected[-1:] == [UNKNOWN]:
        expected = [UNKNOWN]
    assert LongestMatch(ids, 0).encode(word) == [ids[piece] for piece in expected]


def test_random_vocabularies_and_words_equal_the_plain_algorithm() -> None:
    draw = random.Random(5)

    def word(most: int) -> str:
        return "".join(draw.choice("ab#") for _ in range(draw.randint(1, most)))

    for _ in range(200):
        pieces = {draw.choice(("", "##")) + word(5) for _ in range(draw.randint(2, 20))}
        ids = ids_of(*sorted(pieces))
        ours, plain = LongestMatch(ids, 0), GoogleReference(list(ids), lower=False)
        for text in (word(30) for _ in range(50)):
            assert ours.encode(text) == plain.wordpiece(text)


def test_a_long_word_takes_as_many_lookups_as_its_pieces_have_characters() -> None:
    ids = CountingIds(ids_of("a", "##a", "##aab"))
    assert len(LongestMatch(ids, 0).encode("a" * 200)) == 200
    assert ids.num_lookups <= 200 * 3


@pytest.mark.parametrize(
    ("text", "long"),
    [
        ("a" * 49, False),
        ("a" * 50, True),
        ("\u0e01\u0e31" * 25, True),
        ("\U0001f600" * 50, True),
        ("\u4e2d" * 500, False),
        ("word " * 100, False),
        ("https://example.org/one/path/of/many/short/words?and=a&few=more", False),
    ],
)
def test_which_texts_may_have_a_long_word(text: str, long: bool) -> None:
    assert has_long_word(text) is long


def test_the_library_is_spared_long_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 20,000 lookups for each word of 200 characters: 10 s for a text of a million."""
    given: list[str] = []
    encode_texts = wordpiece_module.encode_texts

    def spy(library, texts):
        given.extend(texts)
        return encode_texts(library, texts)

    monkeypatch.setattr(wordpiece_module, "encode_texts", spy)
    ids = load_tokenizer("english-uncased").encode(["plain", "qzxj" * 50, "words"]).ids
    assert given == ["plain", "", "words"]
    assert [len(row) for row in ids] == [3, 202, 3]
