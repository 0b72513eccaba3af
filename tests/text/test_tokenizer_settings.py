"""Settings beside a vocabulary that Google's WordPiece cannot follow are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_tokenizers import PIECES, edit, rows_of, write_json, write_vocabulary

from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer

KINDS: dict[str, dict[str, Any]] = {
    "tokenizer_class='BertJapaneseTokenizer'": {"tokenizer_class": "BertJapaneseTokenizer"},
    "tokenizer_class='BertweetTokenizer'": {"tokenizer_class": "BertweetTokenizer"},
    "tokenizer_class='KoBertTokenizer'": {"tokenizer_class": "KoBertTokenizer"},
    "tokenizer_class=7": {"tokenizer_class": 7},
    "code of its own": {"auto_map": {"AutoTokenizer": ["tokenization_kobert.KoBertTokenizer", None]}},
    "word_tokenizer_type='mecab'": {"word_tokenizer_type": "mecab"},
    "subword_tokenizer_type='character'": {"subword_tokenizer_type": "character"},
    "wordpieces_prefix='@@'": {"wordpieces_prefix": "@@"},
    "tokenize_chinese_chars=False": {"tokenize_chinese_chars": False},
    "do_basic_tokenize=False": {"do_basic_tokenize": False},
    "never_split=['a']": {"never_split": ["a"]},
    "cls_token='low'": {"cls_token": "low"},
    "unk_token='[PAD]'": {"unk_token": {"content": "[PAD]", "lstrip": False}},
}
ADDED: dict[str, dict[str, Any]] = {
    "'<e1>'": {"added_tokens_decoder": {"15": {"content": "<e1>", "special": False}}},
    "'<e2>'": {"added_tokens_decoder": {"15": {"content": "<e2>", "special": True}}},
    "'new'": {"added_tokens_decoder": {"7": {"content": "new", "special": False}}},
    "'<e3>'": {"additional_special_tokens": ["[MASK]", "<e3>"]},
    "None": {"added_tokens_decoder": {"15": 3}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_vocabulary(tmp_path)
    return tmp_path


@pytest.fixture
def saved(folder: Path) -> Path:
    """The same, with the tokenizer.json that goes with it."""
    load_tokenizer(folder).save(folder)
    return folder


def write_settings(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer_config.json"
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    write_json(path, {**old, **changes})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["vocab.txt", "tokenizer.json"])
def test_another_kind_of_tokenizer(folder: Path, kind: str, form: str) -> None:
    if form == "tokenizer.json":
        load_tokenizer(folder).save(folder)
    write_settings(folder, **KINDS[kind])
    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(folder)
    assert kind in str(caught.value)
    assert "is not Google's WordPiece" in str(caught.value)


def test_all_settings_are_named_together_and_before_the_vocabulary_is_read(folder: Path) -> None:
    write_vocabulary(folder, ["the 99", "a 98"])
    write_settings(folder, tokenizer_class="BertweetTokenizer", never_split=["a"], cls_token="<s>")
    with pytest.raises(CheckpointError, match=r"BertweetTokenizer.*never_split.*cls_token='<s>' \(expected"):
        load_tokenizer(folder)


def test_the_class_may_stand_in_the_configuration_of_the_model(folder: Path) -> None:
    write_json(folder / "config.json", {"tokenizer_class": "BertJapaneseTokenizer"})
    with pytest.raises(CheckpointError, match="BertJapaneseTokenizer"):
        load_tokenizer(folder)
    write_settings(folder, tokenizer_class="BertTokenizer")
    assert load_tokenizer(folder).casing == "uncased"


@pytest.mark.parametrize("end", ["", "Fast"])
@pytest.mark.parametrize("name", ["Bert", "DistilBert", "Electra"])
def test_classes_that_are_googles(folder: Path, name: str, end: str) -> None:
    expected = rows_of(load_tokenizer(folder), ["LOWER new"])
    roles = {"unk_token": "[UNK]", "mask_token": {"content": "[MASK]"}, "pad_token": None}
    decoder = {"0": {"content": "[PAD]", "special": True}}
    write_settings(
        folder,
        tokenizer_class=f"{name}Tokenizer{end}",
        **roles,
        added_tokens_decoder=decoder,
        word_tokenizer_type="basic",
        subword_tokenizer_type="wordpiece",
        additional_special_tokens=[],
        strip_accents=None,
    )
    write_json(folder / "added_tokens.json", {"[PAD]": 0})
    assert rows_of(load_tokenizer(folder), ["LOWER new"]) == expected


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "TokenizersBackend"])
def test_classes_of_any_tokenizer_json(saved: Path, name: str) -> None:
    write_settings(saved, tokenizer_class=name)
    assert load_tokenizer(saved).casing == "uncased"


@pytest.mark.parametrize("token", ADDED)
@pytest.mark.parametrize("form", ["vocab.txt", "tokenizer.json"])
def test_added_tokens(folder: Path, token: str, form: str) -> None:
    if form == "tokenizer.json":
        load_tokenizer(folder).save(folder)
    write_settings(folder, **ADDED[token])
    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(folder)
    assert f"WordPiece does not do: {token}. Save" in str(caught.value)


@pytest.mark.parametrize("added", [{"<e1>": 15}, {"low": 15}, {"<e1>": "15"}])
def test_added_tokens_of_old(folder: Path, added: dict[str, Any]) -> None:
    write_json(folder / "added_tokens.json", added)
    with pytest.raises(CheckpointError, match=r"were added.*'(<e1>|low)'"):
        load_tokenizer(folder)


def test_many_added_tokens_are_counted(folder: Path) -> None:
    write_json(folder / "added_tokens.json", {f"<{i}>": 15 + i for i in range(1000)})
    with pytest.raises(CheckpointError, match="'<4>' and 995 more"):
        load_tokenizer(folder)


@pytest.mark.parametrize("accents", [False, "yes"])
def test_accents(folder: Path, accents: object) -> None:
    write_settings(folder, strip_accents=accents)
    with pytest.raises(CheckpointError, match="asks for strip_accents="):
        load_tokenizer(folder)
    write_settings(folder, strip_accents=True)
    assert load_tokenizer(folder).casing == "uncased"


@pytest.mark.parametrize("stated", ["true", 1, []])
def test_casing_that_is_neither(folder: Path, stated: object) -> None:
    write_settings(folder, do_lower_case=stated)
    with pytest.raises(CheckpointError, match=r"has do_lower_case .*expected true or false"):
        load_tokenizer(folder)


@pytest.mark.parametrize("followed", ["Google", "as it stands"])
def test_two_files_that_contradict_each_other_in_casing(saved: Path, followed: str) -> None:
    definition = json.loads((saved / "tokenizer.json").read_text(encoding="utf-8"))
    if followed == "as it stands":
        edit(saved, normalizer={**definition["normalizer"], "strip_accents": False})
    assert load_tokenizer(saved).casing == ("uncased" if followed == "Google" else None)
    write_settings(saved, do_lower_case=False)
    with pytest.raises(
        CheckpointError,
        match=r"tokenizer_config\.json says do_lower_case false.*tokenizer\.json says lowercase true.*both",
    ):
        load_tokenizer(saved)
    write_settings(saved, do_lower_case=None)
    load_tokenizer(saved)


def test_other_tokenizers_may_say_do_lower_case(unigram_folder: Path) -> None:
    """Published Unigram models do, of which nothing is lowercased; only BERT's normalizer is asked."""
    expected = rows_of(load_tokenizer(unigram_folder), ["the AB"])
    write_settings(unigram_folder, do_lower_case=True)
    assert rows_of(load_tokenizer(unigram_folder), ["the AB"]) == expected


GOOGLE_FOLDERS = [
    ("uncased_L-2", None),
    ("cased_L-2", "cased_L-2"),
    ("cased_L-2/model", "cased_L-2"),
    ("cased_L-2/uncased_model", None),
    ("uncased_L-2/cased_model", "cased_model"),
    ("cased_L-2/a/model", None),
    ("cased_L-2/cased_or_uncased", "cased_L-2"),
    ("leased_L-2/model", None),
]


@pytest.mark.parametrize(("place", "contradicting"), GOOGLE_FOLDERS)
@pytest.mark.parametrize("settings", [None, {"model_max_length": 512}])
def test_the_casing_that_googles_folder_states(
    tmp_path: Path, place: str, contradicting: str | None, settings: dict[str, Any] | None
) -> None:
    folder = tmp_path / place
    folder.mkdir(parents=True)
    write_vocabulary(folder, PIECES)
    write_json(folder / "bert_config.json", {})
    if settings is not None:
        write_json(folder / "tokenizer_config.json", settings)
    if contradicting is None:
        assert load_tokenizer(folder).casing == "uncased"
        return
    with pytest.raises(CheckpointError, match=f"is uncased by its tokens, .*called '{contradicting}'"):
        load_tokenizer(folder)
    write_settings(folder, do_lower_case=True)
    assert load_tokenizer(folder).casing == "uncased", "what is stated wins over a name"
