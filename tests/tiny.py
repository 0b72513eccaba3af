"""A tiny pretrained encoder: a Hugging Face folder with random weights and a tokenizer that spells English.

The folder is written by hand, name by name, so that nothing under test helps to make it.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as RustTokenizer

from bertblocks.assembly import AssembledModel, assemble
from bertblocks.blocks import Task, text_model

Kind = Literal["cased", "uncased", "unigram"]

HIDDEN, LAYERS, HEADS, INTERMEDIATE, POSITIONS = 32, 2, 4, 64, 128
_KNOWN = (
    "the and this that was very good bad great awful film book food service music story I it is not a an of "
    "to in hotel room staff slow fast cheap dear red green blue cat dog bird never always again would"
)
WORDS = _KNOWN.split()
TEXTS = [
    "The film was very good!",
    "",
    "awful, Awful, AWFUL food",
    "I would never go to that hotel again: the staff was slow and the room was dear.",
    "zebra",
    "The film was very good!",
    "a 10/10 story & great music (again)",
]
"""Of several lengths; one twice, one empty."""
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tiny_encoder_folder(
    path: Path,
    kind: Kind = "cased",
    *,
    pooler: bool = True,
    positions: int = POSITIONS,
    heads: int = HEADS,
    seed: int = 0,
) -> Path:
    """Write a BERT encoder (hidden 32, 2 layers, seeded weights) with its tokenizer; returns the folder."""
    path.mkdir(parents=True, exist_ok=True)
    num_tokens = _write_unigram(path) if kind == "unigram" else _write_wordpiece(path, kind)
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": num_tokens,
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": heads,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": positions,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "initializer_range": 0.02,
        "pad_token_id": 1 if kind == "unigram" else 0,
    }
    _write_json(path / "config.json", config)
    save_file(_weights(num_tokens, positions, pooler, seed), path / "model.safetensors", {"format": "pt"})
    return path


def tiny_model(folder: Path, task: Task, *, seed: int = 0, **options: Any) -> AssembledModel:
    """The ready-made model on an encoder's folder, its new head large enough that logits differ.

    Args:
        folder: As tiny_encoder_folder made it.
        task: What to predict.
        seed: Of the head.
        options: Of text_model; sequence_length is 32 unless given.
    """
    torch.manual_seed(seed)
    graph = text_model(task=task, encoder=str(folder), **{"sequence_length": 32, **options})
    model = assemble(graph, task)
    with torch.no_grad():
        for weight in model.module.head[-1].parameters():
            weight.copy_(torch.randn_like(weight))
    model.module.eval()
    return model


def wordpiece_tokens(kind: Kind) -> list[str]:
    """Special tokens, whole words, and every ASCII character both as a word and as a continuation."""
    letters = string.ascii_lowercase + (string.ascii_uppercase if kind == "cased" else "")
    words = [word if kind == "cased" else word.lower() for word in WORDS]
    if kind == "cased":
        words += [word.capitalize() for word in words if word.islower() and len(word) > 1]
    singles = [*letters, *string.digits, *string.punctuation]
    pieces = [*singles, *(f"##{single}" for single in singles), "##ing", "##ed", "##s"]
    return list(dict.fromkeys([*SPECIAL, *words, *pieces]))


def _write_wordpiece(path: Path, kind: Kind) -> int:
    tokens = wordpiece_tokens(kind)
    content = "".join(f"{token}\n" for token in tokens)
    (path / "vocab.txt").write_text(content, encoding="utf-8", newline="\n")
    _write_json(path / "tokenizer_config.json", {"do_lower_case": kind == "uncased"})
    return len(tokens)


def _write_unigram(path: Path) -> int:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    singles = string.ascii_letters + string.digits + string.punctuation
    pieces = [
        *((token, 0.0) for token in special),
        *((f"▁{word}", -4.0) for word in WORDS if len(word) > 1),
        ("▁", -5.0),
        *((single, -8.0) for single in singles),
    ]
    tokenizer = RustTokenizer(models.Unigram([*pieces, ("<mask>", 0.0)], unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in (*special, "<mask>")])
    tokenizer.save(str(path / "tokenizer.json"))
    roles = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    configuration = {f"{role}_token": token for role, token in roles.items()}
    _write_json(
        path / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **configuration}
    )
    return tokenizer.get_vocab_size()


def _weights(num_tokens: int, positions: int, pooler: bool, seed: int) -> dict[str, torch.Tensor]:
    """Every tensor of transformers' BertModel under its name, large enough that texts differ."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (num_tokens, HIDDEN),
        "embeddings.position_embeddings.weight": (positions, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    dense = {
        "attention.self.query": (HIDDEN, HIDDEN),
        "attention.self.key": (HIDDEN, HIDDEN),
        "attention.self.value": (HIDDEN, HIDDEN),
        "attention.output.dense": (HIDDEN, HIDDEN),
        "intermediate.dense": (INTERMEDIATE, HIDDEN),
        "output.dense": (HIDDEN, INTERMEDIATE),
    }
    for layer in range(LAYERS):
        base = f"encoder.layer.{layer}."
        for name, shape in dense.items():
            shapes |= {f"{base}{name}.weight": shape, f"{base}{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{base}{name}.weight": (HIDDEN,), f"{base}{name}.bias": (HIDDEN,)}
    if pooler:
        shapes |= {"pooler.dense.weight": (HIDDEN, HIDDEN), "pooler.dense.bias": (HIDDEN,)}
    generator = torch.Generator().manual_seed(seed)
    weights = {name: torch.randn(shape, generator=generator) * 0.15 for name, shape in shapes.items()}
    return {name: 1 + x if name.endswith("LayerNorm.weight") else x for name, x in weights.items()}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
