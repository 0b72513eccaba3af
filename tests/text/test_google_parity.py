"""Token ids against Google's algorithm: its own ids, and a plain reimplementation over all of Unicode."""

from __future__ import annotations

import json
import random
import sys
import unicodedata
from pathlib import Path

import pytest

from bertblocks.text import Tokenizer, _unicode_tables, load_tokenizer
from bertblocks.text.basic_tokenization import library_agrees, split_words

NAMES = ["multilingual-cased", "english-uncased"]
GOLDEN = {"multilingual-cased": "mbert-cased.jsonl", "english-uncased": "bert-uncased.jsonl"}
needs_unicode_14 = pytest.mark.skipif(
    unicodedata.unidata_version != _unicode_tables.UNICODE_VERSION,
    reason="the reference below uses the running Python's Unicode version, which is not 14.0.0",
)


class GoogleReference:
    """FullTokenizer of Google's tokenization.py, plainly; it knows nothing of the package."""

    def __init__(self, tokens: list[str], *, lower: bool) -> None:
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.lower = lower
        self.known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return [i for word in self.basic(text) for i in self.wordpiece(word)]

    def basic(self, text: str) -> list[str]:
        cleaned = []
        for char in text:
            code = ord(char)
            if code == 0 or code == 0xFFFD or self.is_control(char):
                continue
            if char in " \t\n\r" or unicodedata.category(char) == "Zs":
                cleaned.append(" ")
            elif self.is_cjk(code):
                cleaned += [" ", char, " "]
            else:
                cleaned.append(char)
        words = []
        for word in "".join(cleaned).strip().split():
            if self.lower:
                word = unicodedata.normalize("NFD", word.lower())
                word = "".join(c for c in word if unicodedata.category(c) != "Mn")
            words += self.split_on_punctuation(word)
        return " ".join(words).split()

    def split_on_punctuation(self, word: str) -> list[str]:
        pieces: list[list[str]] = []
        new_word = True
        for char in word:
            if self.is_punctuation(char):
                pieces.append([char])
                new_word = True
            else:
                if new_word:
                    pieces.append([])
                new_word = False
                pieces[-1].append(char)
        return ["".join(piece) for piece in pieces]

    def wordpiece(self, word: str) -> list[int]:
        if word not in self.known:
            self.known[word] = self.wordpiece_uncached(word)
        return self.known[word]

    def wordpiece_uncached(self, word: str) -> list[int]:
        if len(word) > 200:
            return [self.ids["[UNK]"]]
        start, found = 0, []
        while start < len(word):
            end = len(word)
            while end > start and ("##" if start else "") + word[start:end] not in self.ids:
                end -= 1
            if end == start:
                return [self.ids["[UNK]"]]
            found.append(self.ids[("##" if start else "") + word[start:end]])
            start = end
        return found

    @staticmethod
    def is_control(char: str) -> bool:
        return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf")

    @staticmethod
    def is_cjk(code: int) -> bool:
        return (
            0x4E00 <= code <= 0x9FFF
            or 0x3400 <= code <= 0x4DBF
            or 0x20000 <= code <= 0x2A6DF
            or 0x2A700 <= code <= 0x2B73F
            or 0x2B740 <= code <= 0x2B81F
            or 0x2B820 <= code <= 0x2CEAF
            or 0xF900 <= code <= 0xFAFF
            or 0x2F800 <= code <= 0x2FA1F
        )

    @staticmethod
    def is_punctuation(char: str) -> bool:
        code = ord(char)
        if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
            return True
        return unicodedata.category(char).startswith("P")


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return load_tokenizer(request.param)


@pytest.fixture(scope="module")
def reference(tokenizer: Tokenizer) -> GoogleReference:
    tokens = [tokenizer.token(i) for i in range(tokenizer.vocabulary_size)]
    return GoogleReference(tokens, lower=tokenizer.casing == "uncased")


def ids_of(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Ids without special tokens, uncut."""
    encoded = tokenizer.encode(texts)
    assert not encoded.truncated.any()
    return [row[1:-1].tolist() for row in encoded.ids]


def assert_equal_ids(tokenizer: Tokenizer, reference: GoogleReference, texts: list[str]) -> None:
    found = ids_of(tokenizer, texts)
    different = [
        (text, ids, expected)
        for text, ids in zip(texts, found, strict=True)
        if ids != (expected := reference.encode(text))
    ]
    assert not different, f"{len(different)} of {len(texts)} differ, such as {different[:3]!r}"


def test_golden_rows_are_equal(shared: Path, tokenizer: Tokenizer) -> None:
    lines = (shared / "golden" / GOLDEN[tokenizer.name]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 2827
    uncut = tokenizer._model.encode([row["text"] for row in rows])
    assert [row["text"] for row, ids in zip(rows, uncut, strict=True) if ids != row["ids"]] == []


def test_reference_agrees_with_golden_rows(
    shared: Path, tokenizer: Tokenizer, reference: GoogleReference
) -> None:
    lines = (shared / "golden" / GOLDEN[tokenizer.name]).read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines[:400]):
        assert reference.encode(row["text"]) == row["ids"]


def in_context(char: str) -> str:
    return f"a{char}b c{char}"


@needs_unicode_14
def test_every_assigned_character(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    """All but the vast uniform ranges, of which every 97th is taken: private use, unassigned, Hangul, CJK."""
    texts = []
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        uniform = unicodedata.category(char) in ("Co", "Cn", "Cs") or unicodedata.name(char, "").startswith(
            ("CJK UNIFIED", "HANGUL SYLLABLE", "TANGUT")
        )
        if not uniform or code % 97 == 0:
            texts.append(in_context(char))
    assert len(texts) > 40_000
    assert_equal_ids(tokenizer, reference, texts)


@pytest.mark.long
@needs_unicode_14
def test_every_code_point(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    for start in range(0, sys.maxunicode + 1, 1 << 16):
        reference.known.clear()
        assert_equal_ids(
            tokenizer, reference, [in_context(chr(code)) for code in range(start, start + (1 << 16))]
        )


def random_texts(num_texts: int, seed: int) -> list[str]:
    """Strings that mix ordinary letters with what is treated specially, and any code point at all."""
    draw = random.Random(seed)
    special = "Σσςİıßẞŉǰΐﬁ'’.·:\u0301\u0327\u0345\u302e\u1b44\u0e33\u2028\u2029\u0085\x1c\xa0\u3000"
    special += "\u00ad\u200d\ue000"
    special += "\U0001f600\U0002b820\U00010400\U0001e900\U00016ff0\ufffd\0\t\n中한각ﾊﾞ\u0378\u061d\u1734\ud800"
    scripts = [(0x20, 0x7F), (0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x7FF), (0x900, 0x11FF), (0x1E00, 0x206F)]
    texts = []
    for _ in range(num_texts):
        low, high = draw.choice(scripts)
        kinds = [
            lambda low=low, high=high: chr(draw.randint(low, high)),
            lambda: draw.choice(special),
            lambda: draw.choice("aeinosrtABCΑΒΣαβ  "),
            lambda: chr(draw.randint(0, sys.maxunicode)),
        ]
        weights = (6, 3, 6, 1)
        texts.append("".join(draw.choices(kinds, weights)[0]() for _ in range(draw.randint(1, 24))))
    return texts


@needs_unicode_14
def test_random_texts(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    assert_equal_ids(tokenizer, reference, random_texts(10_000, seed=20))


@needs_unicode_14
def test_plain_path_alone_equals_the_reference(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    """The exact path must be right for every text, not only for those that are sent to it."""
    assert tokenizer.casing is not None
    for text in random_texts(5_000, seed=21):
        assert split_words(text, tokenizer.casing).split(" ") == (reference.basic(text) or [""]), repr(text)


@pytest.mark.parametrize(
    ("text", "agrees"),
    [
        ("plain", True),
        ("Ünïcode, 中文, עברית 😀", True),
        ("\ue000", False),
        ("\U0010fffd", False),
        ("\u061d", False),
        ("\U0002b820", False),
        ("\ud800", False),
        ("\u0378", False),
        ("Στην", True),
        ("ΑΣ", False),
    ],
)
def test_which_texts_take_the_exact_path(text: str, agrees: bool) -> None:
    assert library_agrees(text, "uncased") is agrees
    assert library_agrees(text.replace("Σ", ""), "cased") is agrees or "Σ" in text


@pytest.mark.parametrize("length", [99, 100, 101, 199, 200, 201, 5000])
@pytest.mark.parametrize("letter", ["a", "\u0e01", "x\u061d"])
def test_words_up_to_200_characters_are_cut_into_pieces(
    tokenizer: Tokenizer, reference: GoogleReference, length: int, letter: str
) -> None:
    word = (letter[0] * length) + letter[1:]
    (ids,) = ids_of(tokenizer, [f"one {word} two"])
    assert ids == reference.encode(f"one {word} two")
    if letter == "a":
        unknown = tokenizer.special_tokens["unk"]
        assert (unknown in ids) == (length > 200)


@needs_unicode_14
def test_random_long_words(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    draw = random.Random(22)
    alphabets = ["ab", "etaoinshr", "ETAéß", "\u0e01\u0e32\u0e31", "αβΣ", "кип", "한글", "a\u0301", "😀x"]
    words = ["".join(draw.choices(draw.choice(alphabets), k=draw.randint(40, 210))) for _ in range(2000)]
    assert_equal_ids(tokenizer, reference, [f"a {word}, {word[:60]}." for word in words])


def test_literal_special_tokens_are_text(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    texts = ["[CLS] a [SEP] b", "[SEP]", "x[MASK]y [PAD][UNK]", "[UNK]"]
    assert_equal_ids(tokenizer, reference, texts)
    control = [tokenizer.special_tokens[role] for role in ("cls", "sep", "mask", "pad")]
    assert not set(control) & {i for row in ids_of(tokenizer, texts) for i in row}


@pytest.mark.parametrize(
    "unit",
    [
        "\u0301\u0327",
        "\u302e\U00016ff0",
        "Σ'",
        "\u0378a",
        "\ue000 a",
        "a",
        "中",
        "\u2e53",
        "word ",
        "İ\u0345",
        "\u0f73",
        "\u0f71\u0f75\u0f81",
        "\ud800",
        "\ud800 ",
    ],
)
def test_huge_texts_take_linear_time(unit: str) -> None:
    """A million characters: at quadratic cost nobody would see this test end."""
    tokenizer = load_tokenizer("english-uncased")
    encoded = tokenizer.encode([unit * (1_000_000 // len(unit))])
    assert len(encoded.ids[0]) <= 512


@needs_unicode_14
@pytest.mark.parametrize("char", ["a", "\u0e01", "\ue000", "\ud800", "\u0f73", "É", "\u0301", "\u0378"])
def test_a_word_of_a_million_characters(tokenizer: Tokenizer, reference: GoogleReference, char: str) -> None:
    text = f"one {char * 1_000_000} two"
    (ids,) = ids_of(tokenizer, [text])
    # Marks alone are stripped from an uncased word, and nothing of it is left.
    is_mark = unicodedata.category(unicodedata.normalize("NFD", char)[0]) == "Mn"
    stripped = tokenizer.casing == "uncased" and is_mark
    unknown = [] if stripped else [tokenizer.special_tokens["unk"]]
    assert ids == [*reference.encode("one"), *unknown, *reference.encode("two")]


@needs_unicode_14
def test_lone_surrogates_make_a_word_unknown(tokenizer: Tokenizer, reference: GoogleReference) -> None:
    texts = ["a \ud800 b", "a\ud800b c", "\udfff", "x\udc00.y", "中\ud83d中", "\ude00\ud83d"]
    assert_equal_ids(tokenizer, reference, texts)
    assert ids_of(tokenizer, ["good\ud800"]) == [[tokenizer.special_tokens["unk"]]]


@pytest.mark.long
@needs_unicode_14
@pytest.mark.parametrize("seed", range(20))
def test_a_million_random_texts(tokenizer: Tokenizer, reference: GoogleReference, seed: int) -> None:
    reference.known.clear()
    assert_equal_ids(tokenizer, reference, random_texts(50_000, seed=1000 + seed))


@needs_unicode_14
@pytest.mark.parametrize(
    "num_pairs", [pytest.param(500, id="few"), pytest.param(100_000, id="many", marks=pytest.mark.long)]
)
def test_random_pairs(tokenizer: Tokenizer, reference: GoogleReference, num_pairs: int) -> None:
    reference.known.clear()
    cls, sep = tokenizer.special_tokens["cls"], tokenizer.special_tokens["sep"]
    first, second = random_texts(num_pairs, seed=30), random_texts(num_pairs, seed=31)
    encoded = tokenizer.encode(first, second)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        ids = [cls, *reference.encode(a), sep]
        assert encoded.num_first[row] == len(ids)
        assert encoded.ids[row].tolist() == [*ids, *reference.encode(b), sep]


@needs_unicode_14
@pytest.mark.parametrize(
    "marks", [("\u302e", "\U00016ff0"), ("\u0301", "\u302e", "\u1b44"), ("\u0344", "\U0001d165", "\u0327")]
)
def test_long_runs_of_marks_are_ordered_as_unicode_says(marks: tuple[str, ...]) -> None:
    draw = random.Random(3)
    text = "x" + "".join(draw.choice(marks) for _ in range(500)) + "y"
    expected = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    assert split_words(text, "uncased") == expected


def expand(ranges: str) -> set[int]:
    bounds = (part.partition("-") for part in ranges.split())
    return {code for a, _, b in bounds for code in range(int(a, 16), int(b or a, 16) + 1)}


@needs_unicode_14
def test_tables_hold_unicode_14() -> None:
    categories = [unicodedata.category(chr(code)) for code in range(sys.maxunicode + 1)]
    marks = {code for code, category in enumerate(categories) if category == "Mn"}
    unassigned = {code for code, category in enumerate(categories) if category == "Cn"}
    combining = {code for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))}
    dropped = {code for code, category in enumerate(categories) if category in ("Cc", "Cf")}
    symbols = {code for code in range(33, 127) if not chr(code).isalnum()}
    punctuation = {code for code, category in enumerate(categories) if category[0] == "P"}
    assert expand(_unicode_tables.NONSPACING_MARKS) == marks
    assert expand(_unicode_tables.UNASSIGNED) == unassigned
    assert expand(_unicode_tables.COMBINING) == combining
    assert expand(_unicode_tables.DROPPED) == (dropped | {0, 0xFFFD}) - {9, 10, 13}
    assert expand(_unicode_tables.PUNCTUATION) == punctuation | symbols
    assert expand(_unicode_tables.RUST_DIFFERS) >= unassigned
    assert 200_000 > len(expand(_unicode_tables.RUST_DIFFERS) - unassigned) >= 137_468
