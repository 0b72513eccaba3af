"""What transformers makes of a saved folder."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from small_tokenizers import rows_of, write_json

from bertblocks.text import load_tokenizer


def transformers_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    write_json(folder / "config.json", {"model_type": "bert"})
    return AutoTokenizer.from_pretrained(folder)


def random_texts(letters: str, seed: int) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choice(letters) for _ in range(draw.randint(0, 90))) for _ in range(400)]


@pytest.mark.parametrize("name", ["multilingual-cased", "english-uncased", "unigram"])
def test_transformers_reads_a_saved_folder_alike(tmp_path: Path, unigram_folder: Path, name: str) -> None:
    tokenizer = load_tokenizer(unigram_folder if name == "unigram" else name, sequence_length=32)
    tokenizer.save(tmp_path / "saved")
    other = transformers_tokenizer(tmp_path / "saved")
    assert other.model_max_length == 32
    roles = {role: getattr(other, f"{role}_token_id") for role in tokenizer.special_tokens}
    assert roles == tokenizer.special_tokens
    letters = "ab the zq" if name == "unigram" else "aeiou nrstÄÖé,.!  \nЖд中文어अरبéΣα"
    texts, pairs = random_texts(letters, 1), random_texts(letters, 2)
    if name != "unigram":  # the one difference that these letters can make: a final sigma
        texts, pairs = ([t.replace("Σ", "Σα") for t in rows] for rows in (texts, pairs))
    single = tokenizer.encode(texts)
    assert [row.tolist() for row in single.ids] == other(texts, truncation=True)["input_ids"]
    assert single.truncated.any() and not single.truncated.all()
    double, expected = tokenizer.encode(texts, pairs), other(texts, pairs, truncation=True)
    assert [row.tolist() for row in double.ids] == expected["input_ids"]
    if name == "unigram":
        assert "token_type_ids" not in expected
    else:
        assert double.num_first.tolist() == [row.count(0) for row in expected["token_type_ids"]]


def test_transformers_on_golden_rows(shared: Path, tmp_path: Path) -> None:
    """The listed differences, and no other: a final sigma, and special tokens in the text."""
    for name, file, different in (
        ("multilingual-cased", "mbert-cased", ["[CLS] literal [SEP] [MASK] [PAD] [UNK]"]),
        ("english-uncased", "bert-uncased", ["ß ẞ ΑΣ", "[CLS] literal [SEP] [MASK] [PAD] [UNK]"]),
    ):
        tokenizer = load_tokenizer(name)
        tokenizer.save(tmp_path / name)
        lines = (shared / "golden" / f"{file}.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines]
        theirs = transformers_tokenizer(tmp_path / name)(texts, truncation=True)["input_ids"]
        ours = rows_of(tokenizer, texts)
        assert [t for t, a, b in zip(texts, ours, theirs, strict=True) if a != b] == different
