"""Small tokenizers for the tests of this folder, and what they are written and read with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as RustTokenizer

from bertblocks.text import Tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*SPECIAL, "low", "##er", "new", "##est", "中", "[", "]", "sep", "a", "##a"]
ALL_TEXTS = ["lower newest", "LÖWER 中a", "[SEP] low", "", "aaa " * 40, "\ue000a\0"]


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def write_vocabulary(folder: Path, tokens: list[str] = PIECES) -> None:
    (folder / "vocab.txt").write_text("".join(f"{t}\n" for t in tokens), encoding="utf-8", newline="\n")


def rows_of(tokenizer: Tokenizer, texts, pairs=None) -> list[list[int]]:
    return [row.tolist() for row in tokenizer.encode(texts, pairs).ids]


def tokens_of(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token(i) for i in rows_of(tokenizer, [text])[0]]


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer.json"
    write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **changes})


def unigram() -> RustTokenizer:
    """A small tokenizer of XLM-R's kind: special tokens are pieces with the best score."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    others = {
        "▁": -3.0,
        "<": -5.0,
        ">": -5.0,
        "s": -4.0,
        "/": -6.0,
        "a": -4.0,
        "b": -4.5,
        "▁a": -3.5,
        "ab": -4.2,
    }
    pieces = [
        *((token, 0.0) for token in special),
        *others.items(),
        ("▁the", -3.0),
        ("e", -4.0),
        ("<mask>", 0.0),
    ]
    tokenizer = RustTokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*special, "<mask>")])
    return tokenizer


def byte_level_folder(folder: Path) -> Path:
    """Write a small tokenizer of RoBERTa's kind: byte-level BPE, one segment."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = RustTokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the lower the newest low new the"] * 5, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    names = {f"{role}_token": token for role, token in roles.items()}
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    write_json(folder / "config.json", {"model_type": "roberta"})
    return folder
