"""What of a `tokenizer.json` is accepted: models without a type, and patterns that take linear time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_tokenizers import PIECES, rows_of, unigram, write_json
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer, shipped_vocabulary
from bertblocks.text.tokenizer_json import _LINEAR

TEXTS = ["LÖWER newest", "the  ab </s>", "a" * 150, ""]


def words() -> RustTokenizer:
    return framed(models.WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2, "ab": 3}, unk_token="<unk>"))


def bpe() -> RustTokenizer:
    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4, "ab": 5}
    return framed(models.BPE(vocabulary, [("a", "b")], unk_token="<unk>"))


def framed(model: models.Model) -> RustTokenizer:
    tokenizer = RustTokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    return tokenizer


def google() -> RustTokenizer:
    return wordpiece(PIECES)


def english() -> RustTokenizer:
    return wordpiece(list(shipped_vocabulary("english-uncased").tokens()))


def wordpiece(tokens: list[str], longest: int = 100) -> RustTokenizer:
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = RustTokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=longest))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return tokenizer


@pytest.mark.parametrize("make", [unigram, bpe, words, google, english])
def test_a_model_without_its_type_is_the_same(tmp_path: Path, make: Callable[[], RustTokenizer]) -> None:
    """As tokenizers < 0.9 wrote them, and the hub still has them: xlm-roberta-base, bert-base-uncased."""
    definition = json.loads(make().to_str())
    write_json(tmp_path / "tokenizer.json", definition)
    typed = load_tokenizer(tmp_path)
    del definition["model"]["type"]
    write_json(tmp_path / "tokenizer.json", definition)
    untyped = load_tokenizer(tmp_path)
    assert (untyped.name, untyped.casing) == (typed.name, typed.casing)
    assert untyped.special_tokens == typed.special_tokens
    assert rows_of(untyped, TEXTS, TEXTS[::-1]) == rows_of(typed, TEXTS, TEXTS[::-1])
    assert (typed.casing == "uncased") == (make in (google, english))
    untyped.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / "tokenizer.json").read_text())["model"]["type"]


@pytest.mark.parametrize(
    "pattern",
    [
        " {2,}",
        r"\s{2,}|[\n\r\t]",
        ".",
        ".+",
        r"\x{200d}",
        r"\u200d+",
        r"(?:\r\n|\r|\n)",
        r"(\r\n|\n)",
        r"[^\w\s]|\p{L}+|\p{^L}",
        "ab*",
        "|".join("a" * 20),
    ],
)
def test_patterns_that_take_linear_time(tmp_path: Path, pattern: str) -> None:
    tokenizer = unigram()
    tokenizer.normalizer = normalizers.Replace(Regex(pattern), "a")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = "the \n\nab, \u200d. b"
    assert rows_of(load_tokenizer(tmp_path), [text])[0] == tokenizer.encode(text).ids


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        r"(a)\1",
        "a*a*a*b",
        "a+b",
        r"\s+$",
        "[a]+[b]+",
        "(?:a+)+",
        "(?:a|b)*",
        "(?:(?:a))",
        "(?=a)",
        "(?i)a",
        "a{99}{99}",
        "a+|b*c",
        r"\K",
        r"\X",
        "a" * 13,
        "|".join("a" * 21),
        "",
        "a*",
        "a?",
        "a{0,5}",
        "a|",
        "(?:a|b|)",
        r"\b",
        r"\y",
    ],
)
def test_patterns_that_may_not_or_that_match_nothing(pattern: str) -> None:
    assert not _LINEAR.fullmatch(pattern)


def test_a_pattern_that_is_refused_says_which_are_not(tmp_path: Path) -> None:
    tokenizer = unigram()
    tokenizer.normalizer = normalizers.Replace(Regex(r"\s+$"), "")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"may take very long.*such as ' \{2,\}\|\[\\r\\n\]'"):
        load_tokenizer(tmp_path)


def test_the_longest_word_matters_only_where_it_is_followed(tmp_path: Path) -> None:
    wordpiece(PIECES, longest=10_000).save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).casing == "uncased", "Google's rules, with Google's 200"
    other = wordpiece(PIECES, longest=10_000)
    other.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    other.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"is 10,000, expected at most 1,000.*Set it to 1,000 if"):
        load_tokenizer(tmp_path)
