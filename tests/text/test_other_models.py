"""Unigram and other kinds of tokenizer.json, whose special tokens no text may contain."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from small_tokenizers import edit, rows_of, tokens_of, unigram, write_json
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers, processors

from bertblocks.errors import CheckpointError, ConfigError
from bertblocks.text import load_tokenizer


def test_unigram(unigram_folder: Path) -> None:
    tokenizer = load_tokenizer(unigram_folder, sequence_length=8)
    assert (tokenizer.name, tokenizer.casing, tokenizer.vocabulary_size) == ("unigram", None, 16)
    assert tokenizer.special_tokens == {"pad": 1, "unk": 3, "cls": 0, "sep": 2, "mask": 15}
    assert tokens_of(tokenizer, "the  ab") == ["<s>", "▁the", "▁", "ab", "</s>"]
    assert tokens_of(tokenizer, "") == ["<s>", "</s>"]
    encoded = tokenizer.encode(["a" * 20, "zz"])
    assert encoded.num_tokens.tolist() == [22, 4]
    assert encoded.truncated.tolist() == [True, False]
    assert encoded.num_unknown.tolist() == [0, 1]
    with pytest.raises(IndexError):
        tokenizer.token(16)


@pytest.mark.parametrize("text", ["<s>", "a</s>", "<unk>", "<pad>a", "<mask>", "</s></s> <s>"])
def test_literal_special_tokens_are_text_for_unigram(unigram_folder: Path, text: str) -> None:
    tokenizer = load_tokenizer(unigram_folder)
    row = tokens_of(tokenizer, text)
    assert (row[0], row[-1]) == ("<s>", "</s>")
    assert not set(row[1:-1]) & {"<s>", "</s>", "<pad>", "<mask>"}
    assert "".join(row[1:-1]).count("<") >= text.count("<")
    assert unigram().encode(text, add_special_tokens=False).ids != rows_of(tokenizer, [text])[0][1:-1]


def test_nul_and_lone_surrogates_in_unigram(unigram_folder: Path) -> None:
    tokenizer = load_tokenizer(unigram_folder)
    assert rows_of(tokenizer, ["t\0he a\0b", "\0<s>"]) == rows_of(tokenizer, ["the ab", "<s>"])
    assert rows_of(tokenizer, ["a\udc00"]) == rows_of(tokenizer, ["a\ufffd"])


def test_pairs_follow_the_post_processor(unigram_folder: Path) -> None:
    encoded = load_tokenizer(unigram_folder).encode(["a"], ["the"])
    assert encoded.ids[0].tolist() == unigram().encode("a", "the").ids
    assert encoded.num_first.tolist() == [len(encoded.ids[0])], "XLM-R has one segment"
    with pytest.raises(ConfigError, match="a pair takes 4 special tokens"):
        load_tokenizer(unigram_folder, sequence_length=3).encode(["a"], ["a"])


@pytest.mark.parametrize("kind", ["roberta", "bert"])
def test_other_post_processors(unigram_folder: Path, kind: str) -> None:
    tokenizer = unigram()
    ends = (("</s>", 2), ("<s>", 0))
    processor = processors.RobertaProcessing(*ends) if kind == "roberta" else processors.BertProcessing(*ends)
    tokenizer.post_processor = processor
    tokenizer.save(str(unigram_folder / "tokenizer.json"))
    encoded = load_tokenizer(unigram_folder).encode(["a the", ""], ["ab", "a"])
    expected = [tokenizer.encode("a the", "ab"), tokenizer.encode("", "a")]
    assert [row.tolist() for row in encoded.ids] == [row.ids for row in expected]
    assert encoded.num_first.tolist() == [row.type_ids.count(0) for row in expected]


def test_saved_unigram_loads_alike(tmp_path: Path, unigram_folder: Path) -> None:
    tokenizer = load_tokenizer(unigram_folder, sequence_length=6)
    tokenizer.save(tmp_path / "again")
    assert not (tmp_path / "again" / "vocab.txt").exists()
    texts = ["the ab </s>", "", "z" * 9]
    for other in (
        load_tokenizer(tmp_path / "again", sequence_length=6),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert rows_of(other, texts) == rows_of(tokenizer, texts)
        assert other.special_tokens == tokenizer.special_tokens


def test_special_tokens_that_are_missing_are_named(unigram_folder: Path) -> None:
    write_json(unigram_folder / "tokenizer_config.json", {"pad_token": "<none>", "mask_token": "<mask>"})
    with pytest.raises(CheckpointError, match=r"lacks: pad '<none>'\. Remove .* save the tokenizer again"):
        load_tokenizer(unigram_folder)


def test_special_tokens_without_configuration(unigram_folder: Path) -> None:
    expected = load_tokenizer(unigram_folder).special_tokens
    (unigram_folder / "tokenizer_config.json").unlink()
    assert load_tokenizer(unigram_folder).special_tokens == expected
    write_json(unigram_folder / "special_tokens_map.json", {"pad_token": "<mask>"})
    assert load_tokenizer(unigram_folder).special_tokens["pad"] == 15


def test_unigram_without_unknown_token_is_refused(unigram_folder: Path) -> None:
    edit(
        unigram_folder,
        model={"type": "Unigram", "unk_id": None, "vocab": [["<s>", 0.0], ["</s>", 0.0], ["▁a", 0.0]]},
    )
    with pytest.raises(CheckpointError, match="cannot tokenize every text"):
        load_tokenizer(unigram_folder)


def test_an_unknown_token_that_byte_level_models_name_need_not_be_there(tmp_path: Path) -> None:
    vocabulary = {"<s>": 0, "</s>": 1, **{c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet(), 2)}}
    tokenizer = RustTokenizer(models.BPE(vocabulary, [], unk_token="<none>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path)
    assert loaded.special_tokens == {"cls": 0, "sep": 1}
    assert rows_of(loaded, ["é <s>"]) == [tokenizer.encode("é <").ids[:-1] + rows_of(loaded, ["s>"])[0][1:]]


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_other_models_hide_their_special_tokens_too(tmp_path: Path, kind: str) -> None:
    vocabulary = {"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4, "ab": 5}
    model = (
        models.WordLevel(vocabulary, unk_token="<unk>")
        if kind == "words"
        else models.BPE(vocabulary, [("a", "b")], unk_token="<unk>", ignore_merges=True)
    )
    tokenizer = RustTokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path)
    row = rows_of(loaded, ["ab </s> <s> a"])[0]
    assert row[:2] == [0, 5]
    assert row[-2:] == [3, 1]
    assert set(row[2:-2]) == {2}
    assert loaded.special_tokens == {"unk": 2, "cls": 0, "sep": 1}
