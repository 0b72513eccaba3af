"""RoBERTa's tokenizer.json: byte-level BPE, one segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_tokenizers import byte_level_folder, write_json

from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer

TEXTS = ["the lower the newest", " the  low\n", "", "Ünïcode 中文 😀", "a" * 60]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return byte_level_folder(tmp_path)


def test_ids_equal_those_of_transformers(folder: Path) -> None:
    from transformers import AutoTokenizer

    ours, theirs = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert [row.tolist() for row in ours.encode(TEXTS).ids] == theirs(TEXTS)["input_ids"]
    pairs = ours.encode(TEXTS, TEXTS[::-1])
    assert [row.tolist() for row in pairs.ids] == theirs(TEXTS, TEXTS[::-1])["input_ids"]
    assert pairs.num_first.tolist() == [len(row) for row in pairs.ids], "RoBERTa has one segment"


def test_merges_alone_are_refused_with_the_way_to_a_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    write_json(folder / "vocab.json", {"<s>": 0})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"vocab\.json, which is not read directly: AutoTokenizer"):
        load_tokenizer(folder)
