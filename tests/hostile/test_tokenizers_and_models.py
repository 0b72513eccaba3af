"""Tokenizers and model folders that attack or are damaged, through the ways by which they are loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from foreign import Attack, edit_json, header, link, pipe, sparse, write, write_json

from bertblocks.assembly import load_model
from bertblocks.blocks import Task
from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer
from tiny import tiny_model

SPECIAL = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

VOCABULARIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "a token twice": (SPECIAL + b"a\nb\na\n", "more than once: 'a'"),
    "no [SEP]": (SPECIAL.replace(b"[SEP]\n", b"") + b"a\n", "special tokens missing: [SEP]"),
    "byte order mark": (b"\xef\xbb\xbf" + SPECIAL + b"a\n", "byte order mark"),
    "Windows line ends": ((SPECIAL + b"a\n").replace(b"\n", b"\r\n"), "carriage returns"),
    "empty lines": (SPECIAL + b"a\n\n\nb\n", "empty lines: 7, 8"),
    "white space": (SPECIAL + b"a\n \t\nb\n", "empty lines: 7"),
    "not UTF-8": (SPECIAL + b"\xff\n", "Expected UTF-8 text"),
    "NUL": (SPECIAL + b"a\0b\n", "NUL characters"),
    "special tokens only": (SPECIAL, "every text would be unknown"),
    "three million lines": (b"a\n" * 3_000_000, "it has 3,000,000 lines"),
    "one long line": (b"a" * 1_000_000, "special tokens missing"),
}

STEP = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}


def step(**changes: Any) -> Attack:
    return edit_json("tokenizer.json", normalizer={**STEP, **changes})


def model(**changes: Any) -> Attack:
    def attack(folder: Path) -> None:
        value = json.loads((folder / "tokenizer.json").read_text())
        edit_json("tokenizer.json", model={**value["model"], **changes})(folder)

    return attack


def processor(num_special: int) -> Attack:
    special = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = [{"Sequence": {"id": which, "type_id": 0}} for which in "AB"]
    tokens = {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}
    processing = {"type": "TemplateProcessing", "special_tokens": tokens}
    single, pair = [special] * num_special + text[:1], [special] * num_special + text
    return edit_json("tokenizer.json", post_processor={**processing, "single": single, "pair": pair})


TOKENIZERS: dict[str, tuple[Attack, str]] = {
    "nested 10,000 deep": (
        write("tokenizer.json", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        "nested deeper than 100",
    ),
    "too large": (sparse("tokenizer.json", 1 << 30, b"{"), "expected at most 83,886,080"),
    "values without end": (write("tokenizer.json", b"[" + b"1," * 10_000_001), "values, expected at most"),
    "empty": (write("tokenizer.json", b""), "is empty"),
    "a pipe": (pipe("tokenizer.json"), "named pipe"),
    "a link out of the folder": (link("tokenizer.json", "/etc/hostname"), "out of its folder"),
    "configuration of 100 MB": (sparse("tokenizer_config.json", 100 << 20), "at most 16,777,216"),
    "configuration with NaN": (write("tokenizer_config.json", b'{"a": NaN}'), "NaN is not a JSON number"),
    "map of special tokens is a list": (write_json("special_tokens_map.json", []), "holds a JSON list"),
    "normalizer is a text": (edit_json("tokenizer.json", normalizer="x"), "its normalizer is 'x'"),
    "post-processor is a list": (edit_json("tokenizer.json", post_processor=[1]), "post_processor is [1]"),
    "added tokens are numbers": (edit_json("tokenizer.json", added_tokens=[1]), "lack id, content"),
    "added id is negative": (
        edit_json("tokenizer.json", added_tokens=[{"id": -1, "content": "a", "special": True}]),
        "is none",
    ),
    "vocabulary of numbers": (model(vocab=[1, 2]), "holds 1, which is no token"),
    "vocabulary of another kind": (model(vocab={"a": 0}), "vocabulary of another kind"),
    "unknown id out of range": (model(unk_id=10**9), "unk_id is 1000000000"),
    "unknown id of a model without one": (
        model(type="WordLevel", vocab={"<s>": 0, "</s>": 1}, unk_id=1),
        "missing field `unk_token`",
    ),
    "hidden token": (model(vocab=[["\0<s>", 0.0]]), "which is no token"),
    "half a pair": (write("tokenizer.json", b'{"a": "\\udc00"}'), "half of a surrogate pair"),
    "catastrophic pattern": (
        step(pattern={"Regex": "(a+)+$"}, content=""),
        "which may take very long",
    ),
    "pattern that goes back": (step(pattern={"Regex": r"(a)\1"}), "which may take very long"),
    "pattern in a pre-tokenizer": (
        edit_json(
            "tokenizer.json",
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "a*a*a*b"}, "behavior": "Removed"},
        ),
        "its pre_tokenizer has the pattern",
    ),
    "pattern with a slow alternative": (step(pattern={"Regex": "a|b*c"}), "which may take very long"),
    "pattern with a repeated group": (step(pattern={"Regex": "(?:ab?)+"}), "which may take very long"),
    "pattern of 10,000 alternatives": (
        step(pattern={"Regex": "|".join("a" * 10_000)}),
        "up to 20 alternatives",
    ),
    "pattern that matches nothing, fifty times": (
        edit_json(
            "tokenizer.json",
            normalizer={
                "type": "Sequence",
                "normalizers": [{**STEP, "pattern": {"Regex": "b*"}, "content": "x"}] * 50,
            },
        ),
        "or match nothing",
    ),
    "words without end": (
        model(type="WordPiece", vocab={"a": 0}, unk_id=None, max_input_chars_per_word=-1),
        "max_input_chars_per_word is -1",
    ),
    "texts that double fifty times": (
        edit_json("tokenizer.json", normalizer={"type": "Sequence", "normalizers": [STEP] * 50}),
        "times longer, expected at most 64",
    ),
    "normalizer's chart is cut": (
        edit_json("tokenizer.json", normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAB"}),
        "Precompiled normalizer is cut",
    ),
    "a special token that is not declared": (
        edit_json(
            "tokenizer.json",
            post_processor={
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}],
                "pair": [],
                "special_tokens": {},
            },
        ),
        "cannot tokenize every text",
    ),
    "a special token beyond the vocabulary": (
        edit_json(
            "tokenizer.json",
            post_processor={"type": "BertProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2**31 - 1]},
        ),
        "adds the id 2147483647, but its tokens have the ids 0 to",
    ),
    "a hundred special tokens": (processor(100), "adds 100 special tokens to a text"),
}

MANIFESTS: dict[str, tuple[Attack, str]] = {
    "leads up": (edit_json("bertblocks.json", files={"../x": "0"}), "'../x' is no file of the folder"),
    "absolute": (edit_json("bertblocks.json", files={"/etc/passwd": "0"}), "'/etc/passwd' is no file"),
    "of Windows": (edit_json("bertblocks.json", files={"C:\\x": "0"}), "is no file of the folder"),
    "hash is a number": (edit_json("bertblocks.json", files={"config.json": 1}), "its sha256 differs"),
    "files is a list": (edit_json("bertblocks.json", files=[]), "has files = [], which is of the wrong type"),
    "unknown key": (edit_json("bertblocks.json", odd=1), "unknown keys ['odd']"),
    "unknown casing": (edit_json("bertblocks.json", casing="odd"), "has casing = 'odd'"),
    "newer": (edit_json("bertblocks.json", format_version=99), "update bertblocks"),
    "graph without blocks": (edit_json("bertblocks.json", graph={}), "does not describe a model"),
    "blocks are numbers": (edit_json("bertblocks.json", graph={"blocks": [1]}), "does not describe a model"),
    "blocks are a number": (edit_json("bertblocks.json", graph={"blocks": 1}), "does not describe a model"),
    "task without kind": (edit_json("bertblocks.json", task={}), "does not describe a model"),
    "task of numbers": (edit_json("bertblocks.json", task={"kind": 1}), "does not describe a model"),
    "mean of 10^39": (
        edit_json("bertblocks.json", task={"kind": "regression", "target_mean": 10**50}),
        "digits, which nothing here needs",
    ),
    "weights changed": (header(lambda h: h.update(__metadata__={"a": "b"})), "its sha256 differs"),
    "a file added": (write("special_tokens_map.json", b"{}"), "was not saved with the model"),
    "weights are a link": (link("model.safetensors", "/etc/hostname"), "out of its folder"),
    "a pipe": (pipe("vocab.txt"), "named pipe"),
}


@pytest.mark.parametrize("case", VOCABULARIES)
def test_vocabularies(tmp_path: Path, case: str) -> None:
    content, reason = VOCABULARIES[case]
    (tmp_path / "vocab.txt").write_bytes(content)

    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(tmp_path)

    assert reason in str(caught.value)
    assert len(str(caught.value)) < 2_000


def test_a_vocabulary_of_100_mb(tmp_path: Path) -> None:
    sparse("vocab.txt", 100 << 20)(tmp_path)

    with pytest.raises(CheckpointError, match="has 104,857,600 bytes, expected at most 16,777,216"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("case", TOKENIZERS)
def test_tokenizers(tiny_encoder: Callable[[str], Path], tmp_path: Path, case: str) -> None:
    folder = Path(shutil.copytree(tiny_encoder("unigram"), tmp_path / "model"))
    attack, reason = TOKENIZERS[case]
    attack(folder)

    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(folder)

    assert reason in str(caught.value)
    assert len(str(caught.value)) < 2_000


@pytest.fixture(scope="session")
def saved(tiny_encoder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "saved"
    tiny_model(tiny_encoder("cased"), Task(kind="binary", labels=("no", "yes"))).save(folder)
    return folder


@pytest.mark.parametrize("case", MANIFESTS)
def test_models(saved: Path, tmp_path: Path, case: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    attack, reason = MANIFESTS[case]
    attack(folder)
    before = sorted(folder.rglob("*"))

    with pytest.raises(CheckpointError) as caught:
        load_model(folder)

    assert reason in str(caught.value)
    assert sorted(folder.rglob("*")) == before
