"""Tokens and the words of the text that they belong to: places that are never wrong, ids as encode gives."""

from __future__ import annotations

import random
import sys
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from small_tokenizers import byte_level_folder

from bertblocks.errors import ConfigError, DataError
from bertblocks.text import NO_WORD, Tokenizer, load_tokenizer, locate
from bertblocks.text.basic_tokenization import placed_words, split_words
from bertblocks.text.token_spans import TokenSpan
from bertblocks.text.word_spans import join_tokens

NAMES = ["multilingual-cased", "english-uncased", "mini", "unigram", "byte-level"]
HOSTILE = [
    "",
    " ",
    "\0",
    "\u200f\u200e",
    "a\0b\0",
    "\ufeffThe film",
    "lone \ud800 surrogate\udfff",
    "[CLS] <s> [SEP] </s> <unk> [MASK]",
    "İstanbul IJ ΑΣ Σς ß ẞ ǰ ﬁ Ǆ",
    "e\u0301te\u0301 re\u0301sume\u0301 a\u0323\u0302\u0323",
    "a\u0302\u0323\u302e\u0345b",
    "x" * 49 + " " + "y" * 51 + " " + "z" * 201,
    "\u0301\u0301 marks first",
    "👍🏽 👩‍👩‍👧‍👦 🇩🇪🇫🇷🇮 ❤️ good😀",
    "שלום עולם, צה\u05f4ל! مرحبا بالعالم، كيف؟",
    "中国人民 你好，世界。",
    "ฉันรักภาษาไทยมาก ខ្ញុំស្រឡាញ់ភាសាខ្មែរ မြန်မာစာ ພາສາລາວ",
    "日本語のテキストです。ｶﾞｷﾞ東京タワー",
    "don't l’homme 3.5 10,000 snake_case e-mail@example.com #tag",
    "\U0002b820\U0002b821 \U00016ff0a\u1734b \ue000private",
    "a\u200bb\u2060c\u00ad d",
    "line\r\nbreaks\tand\x0bothers\x85\u2028end",
    "x\u0300" * 300,
    "<script>alert(1)</script>",
]


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request, tiny_encoder, tmp_path_factory) -> Tokenizer:
    if request.param == "unigram":
        return load_tokenizer(tiny_encoder("unigram"))
    if request.param == "byte-level":
        return load_tokenizer(byte_level_folder(tmp_path_factory.mktemp("bpe")))
    return load_tokenizer(request.param)


@pytest.fixture(scope="module")
def cased() -> Tokenizer:
    return load_tokenizer("multilingual-cased")


def words_of(tokenizer: Tokenizer, text: str, pair: str | None = None) -> list[str]:
    return [word.text for word in locate(tokenizer, text, pair).words]


def check(tokenizer: Tokenizer, text: str) -> None:
    """All that must hold whatever the text is."""
    spans = tokenizer.token_spans(text)
    encoded = tokenizer.encode([text])
    whole = tokenizer.arrange([[span.token_id for span in spans]])
    assert whole.ids[0].tolist() == encoded.ids[0].tolist(), repr(text)
    assert all(0 <= span.start <= span.end <= len(text) for span in spans), repr(text)
    located = locate(tokenizer, text)
    assert located.encoded.ids[0].tolist() == encoded.ids[0].tolist()
    places = [(word.start, word.end) for word in located.words]
    assert all(start < end for start, end in places), repr(text)
    assert all(before[1] <= after[0] for before, after in pairwise(places)), repr(text)
    assert [word.text for word in located.words] == [text[start:end] for start, end in places]
    content = ~located.is_special
    assert not located.words or (located.word_of_token[content] != NO_WORD).all()
    assert (located.word_of_token[located.is_special] == NO_WORD).all()
    assert sorted(set(located.word_of_token[content]) - {NO_WORD}) == list(range(len(places))), repr(text)
    # Words follow each other as their tokens do.
    assert (np.diff(located.word_of_token[content]) >= 0).all(), repr(text)
    # What a token has of the text lies in its word.
    for number, span in zip(located.word_of_token[content], spans, strict=False):
        if span.start < span.end and number != NO_WORD:
            start, end = places[number]
            outside = text[span.start : min(start, span.end)] + text[max(end, span.start) : span.end]
            assert all(not char.isprintable() or char.isspace() for char in outside), repr(text)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts(tokenizer, text):
    check(tokenizer, text)
    check(tokenizer, f"the {text} film")


def random_texts(num_texts: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    special = "Σσςİıßﬁ'’.·:\u0301\u0327\u0345\u302e\u0e33\u2028\x1c\xa0\u00ad\u200d\u200b\ue000👍🏽🇩🇪中각ｶﾞ"
    special += "\u0378\u1734\ud800\0\t\n, -_1"
    kinds = [
        lambda: draw.choice(special),
        lambda: draw.choice("aeinosrtABCΑΒ  "),
        lambda: chr(draw.randint(0x20, 0x1FFF)),
        lambda: chr(draw.randint(0, sys.maxunicode)),
    ]
    return [
        "".join(draw.choices(kinds, (4, 6, 4, 1))[0]() for _ in range(draw.randint(1, 24)))
        for _ in range(num_texts)
    ]


def test_random_texts(tokenizer):
    for text in random_texts(1500, seed=5):
        check(tokenizer, text)


@pytest.mark.long
def test_many_random_texts(tokenizer):
    for text in random_texts(50_000, seed=6):
        check(tokenizer, text)


@pytest.mark.parametrize("casing", ["cased", "uncased"])
def test_placed_words_are_googles(casing):
    for text in [*HOSTILE, *random_texts(5000, seed=7)]:
        words = list(placed_words(text, casing))
        assert [word.characters for word in words] == split_words(text, casing).split(), repr(text)
        assert all(len(word.characters) == len(word.places) for word in words)
        if casing == "cased":
            assert all(
                "".join(text[start:end] for start, end in word.places) == word.characters for word in words
            )


def test_a_folded_character_comes_from_its_own():
    (word,) = placed_words("e\u0301TÉİx", "uncased")
    assert word.characters == "eteix"
    assert word.places == [(0, 1), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_words_as_people_read_them(cased):
    assert words_of(cased, "I don't like 3.5 o'clock, do you?") == [
        *("I", "don't", "like", "3.5", "o'clock", ",", "do", "you", "?")
    ]
    assert words_of(cased, "L’été à Zürich – e-mail!") == [
        *("L’été", "à", "Zürich", "–", "e", "-", "mail", "!")
    ]
    assert words_of(cased, "Unbelievably") == ["Unbelievably"], "several pieces, one word"


def test_decomposed_accents_stay_with_their_letters(tokenizer):
    text = unicodedata.normalize("NFD", "Köln résumé")
    assert words_of(tokenizer, text) == text.split()


def test_ideographs_are_words(cased):
    assert words_of(cased, "我爱北京。") == list("我爱北京。")


def test_scripts_without_spaces_are_cut_where_the_tokens_are(tokenizer):
    text = "ฉันรักภาษาไทย"
    words = words_of(tokenizer, text)
    assert "".join(words) == text
    assert not any(unicodedata.category(word[0]) == "Mn" for word in words), "a vowel stays with its letter"
    if tokenizer.name == "mini":
        assert 1 < len(words) < len(text), "its pieces are words"


def test_right_to_left(cased):
    text = "שלום עולם! مرحبا بالعالم"
    assert words_of(cased, text) == ["שלום", "עולם", "!", "مرحبا", "بالعالم"]


def test_emoji_are_words_of_their_own(tokenizer):
    family, flag, thumb = "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽"
    words = words_of(tokenizer, f"good {family} {flag} {thumb} film")
    assert words == ["good", family, flag, thumb, "film"]


def test_a_sign_beside_a_word_is_apart_unless_a_token_holds_both(cased):
    assert words_of(load_tokenizer("mini"), "good😀") == ["good", "😀"]
    assert words_of(cased, "good😀") == ["good😀"], "one unknown token"


def test_of_a_text_that_is_cut_only_what_is_read(cased):
    located = locate(cased.with_sequence_length(5), "one two three four five six")
    assert [word.text for word in located.words] == ["one", "two", "three"]
    assert located.encoded.truncated[0] and located.encoded.num_tokens[0] == 8


def test_pairs(tokenizer):
    located = locate(tokenizer, "the film", "the book\0 again")
    assert [(word.text, word.in_pair) for word in located.words] == [
        ("the", False), ("film", False), ("the", True), ("book", True), ("again", True)
    ]  # fmt: skip
    assert located.words[-1].start == 10
    expected = tokenizer.encode(["the film"], ["the book\0 again"])
    assert located.encoded.ids[0].tolist() == expected.ids[0].tolist()
    second = np.arange(len(located.is_special)) >= expected.num_first[0]
    if expected.num_first[0] < len(second):
        of_second = [n for n, word in enumerate(located.words) if word.in_pair]
        assert set(located.word_of_token[second]) - {NO_WORD} == set(of_second)


def test_windows(cased):
    text = " ".join(["one", "two", "three", "four", "five", "six"] * 4)
    sliding = cased.with_sequence_length(10).with_windows("slide", 5)
    located = locate(sliding, text)
    assert len(located.words) == 24 and len(located.encoded.windows[0]) > 2
    times = np.bincount(located.word_of_token[located.word_of_token != NO_WORD])
    assert times.min() == 1 and times.max() > 1, "a word in the overlap has tokens in several windows"
    with pytest.raises(ConfigError, match="slide"):
        locate(sliding, text, "second")


def test_what_is_no_text_is_refused(cased):
    for wrong in (None, 5, b"bytes", ["list"]):
        with pytest.raises(DataError):
            locate(cased, wrong)


def test_a_tokenizer_that_cannot_tell_gives_the_whole_text(cased, monkeypatch):
    text = "the film was good"
    monkeypatch.setattr(cased._model, "locate", lambda text: [TokenSpan(1, 0, 3)], raising=False)
    ids = cased.encode([text]).ids[0][1:-1].tolist()
    assert cased.token_spans(text) == [TokenSpan(index, 0, len(text)) for index in ids]
    assert words_of(cased, text) == [text]


def test_tokens_without_characters_go_with_their_neighbours():
    spans = [
        TokenSpan(0, 0, 0),
        TokenSpan(1, 0, 2),
        TokenSpan(2, 2, 2),
        TokenSpan(3, 3, 5),
        TokenSpan(4, 5, 5),
    ]
    found = join_tokens("ab cd", spans)
    assert found.places == ((0, 2), (3, 5)) and found.word_of_token == (0, 0, 1, 1, 1)
    assert join_tokens("  ", [TokenSpan(0, 0, 1)]).word_of_token == (NO_WORD,)


def test_a_token_over_several_words_joins_them():
    spans = [TokenSpan(0, 0, 1), TokenSpan(1, 2, 5), TokenSpan(2, 5, 6), TokenSpan(3, 7, 8)]
    found = join_tokens("a b cd e", spans)
    assert found.places == ((0, 1), (2, 6), (7, 8)) and found.word_of_token == (0, 1, 1, 2)


def test_a_long_text_takes_no_longer_than_its_length(cased):
    text = "a\u0301中 word, " * 20_000
    assert len(locate(cased, text).words) > 100
