"""RoBERTa's tokenizer.json: byte-level BPE, one segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_tokenizers import write_json
from tokenizers import AddedToken, models, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as RustTokenizer

from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = ["the lower the newest", " the  low\n", "", "Ünïcode 中文 😀", "a" * 60]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = RustTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the lower the newest low new the"] * 5, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    roles = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    names = {f"{role}_token": token for role, token in roles.items()}
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    write_json(tmp_path / "config.json", {"model_type": "roberta"})
    return tmp_path


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
