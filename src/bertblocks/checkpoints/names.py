"""One table of names: our parameter ↔ Hugging Face ↔ Google's TF1 checkpoint.

A row gives one of our parameters, the foreign tensors that it is made of, and their axes. The attention's
query, key and value are three tensors elsewhere and one here, stacked along the first axis in this order.

Axes: V vocabulary, P positions, S segments, D hidden size, F feed-forward width.
TF1 stores a dense layer's `kernel` as (in, out), transposed against a torch weight, and calls layer norm's
weight and bias `gamma` and `beta` (docs/numerics.md, 8). Names as in google-research/bert, modeling.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch

from bertblocks.encoder.config import EncoderConfig, Family

LAYER = "{layer}"
SCALE = "_scale"
"""What a name ends in that stands for the scales of int8 weights."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One row of the table.

    Attributes:
        name: Our name, as in BertEncoder's state dict; for the pooler "pooler.weight" and "pooler.bias".
        hugging_face: Names of the tensors that make it up, without the optional prefix "bert.".
        tensorflow: The same tensors in a Google TF1 checkpoint.
        axes: Axes of each of these tensors as torch holds them, one letter each (legend above).
        transposed: Whether TF1 holds the two axes the other way round.
    """

    name: str
    hugging_face: tuple[str, ...]
    tensorflow: tuple[str, ...]
    axes: str
    transposed: bool = False

    def part_shape(self, config: EncoderConfig) -> tuple[int, ...]:
        """Shape of each foreign tensor, as torch holds it."""
        sizes = {
            "V": config.vocab_size,
            "P": config.max_position_embeddings,
            "S": config.type_vocab_size,
            "D": config.hidden_size,
            "F": config.intermediate_size,
        }
        return tuple(sizes[axis] for axis in self.axes)

    def shape(self, config: EncoderConfig) -> tuple[int, ...]:
        """Shape of our parameter: the parts stacked along the first axis."""
        first, *rest = self.part_shape(config)
        return (first * len(self.hugging_face), *rest)

    @property
    def is_dense_weight(self) -> bool:
        """Whether it is what a dense layer multiplies by, which int8 holds in steps."""
        return self.transposed

    def at_layer(self, layer: int) -> Parameter:
        """This row with the layer's number filled in."""

        def fill(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name.replace(LAYER, str(layer)) for name in names)

        (name,) = fill((self.name,))
        return replace(
            self, name=name, hugging_face=fill(self.hugging_face), tensorflow=fill(self.tensorflow)
        )


def _table(ours: str, hugging_face: str, tensorflow: str, axes: str) -> Parameter:
    return Parameter(
        name=f"{ours}.weight", hugging_face=(f"{hugging_face}.weight",), tensorflow=(tensorflow,), axes=axes
    )


def _norm(ours: str, hugging_face: str, tensorflow: str) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            name=f"{ours}.{kind}",
            hugging_face=(f"{hugging_face}.{kind}",),
            tensorflow=(f"{tensorflow}/{tf}",),
            axes="D",
        )
        for kind, tf in (("weight", "gamma"), ("bias", "beta"))
    )


def _dense(
    ours: str, hugging_face: tuple[str, ...], tensorflow: tuple[str, ...], axes: str
) -> tuple[Parameter, ...]:
    weight = Parameter(
        name=f"{ours}.weight",
        hugging_face=tuple(f"{name}.weight" for name in hugging_face),
        tensorflow=tuple(f"{name}/kernel" for name in tensorflow),
        axes=axes,
        transposed=True,
    )
    bias = Parameter(
        name=f"{ours}.bias",
        hugging_face=tuple(f"{name}.bias" for name in hugging_face),
        tensorflow=tuple(f"{name}/bias" for name in tensorflow),
        axes=axes[0],
    )
    return weight, bias


def scale_rows(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Of dense layers' weights in int8: what one step of each output channel is worth, (N,), by row.

    Such names stand in no file: weights are quantized as they are read, part by part.
    """
    return tuple(
        replace(
            row,
            name=row.name + SCALE,
            hugging_face=tuple(part + SCALE for part in row.hugging_face),
            axes=row.axes[0],
        )
        for row in parameters
        if row.is_dense_weight
    )


_QKV = ("query", "key", "value")
_HF = f"encoder.layer.{LAYER}"
_TF = f"bert/encoder/layer_{LAYER}"
_OURS = f"layers.{LAYER}"

EMBEDDING_PARAMETERS: tuple[Parameter, ...] = (
    _table("embeddings.word", "embeddings.word_embeddings", "bert/embeddings/word_embeddings", "VD"),
    _table(
        "embeddings.position", "embeddings.position_embeddings", "bert/embeddings/position_embeddings", "PD"
    ),
    _table(
        "embeddings.segment",
        "embeddings.token_type_embeddings",
        "bert/embeddings/token_type_embeddings",
        "SD",
    ),
    *_norm("embeddings.norm", "embeddings.LayerNorm", "bert/embeddings/LayerNorm"),
)

LAYER_PARAMETERS: tuple[Parameter, ...] = (
    *_dense(
        f"{_OURS}.attention.qkv",
        tuple(f"{_HF}.attention.self.{part}" for part in _QKV),
        tuple(f"{_TF}/attention/self/{part}" for part in _QKV),
        "DD",
    ),
    *_dense(
        f"{_OURS}.attention.output",
        (f"{_HF}.attention.output.dense",),
        (f"{_TF}/attention/output/dense",),
        "DD",
    ),
    *_norm(
        f"{_OURS}.attention.norm", f"{_HF}.attention.output.LayerNorm", f"{_TF}/attention/output/LayerNorm"
    ),
    *_dense(
        f"{_OURS}.feed_forward.intermediate",
        (f"{_HF}.intermediate.dense",),
        (f"{_TF}/intermediate/dense",),
        "FD",
    ),
    *_dense(f"{_OURS}.feed_forward.output", (f"{_HF}.output.dense",), (f"{_TF}/output/dense",), "DF"),
    *_norm(f"{_OURS}.feed_forward.norm", f"{_HF}.output.LayerNorm", f"{_TF}/output/LayerNorm"),
)

POOLER_PARAMETERS: tuple[Parameter, ...] = _dense("pooler", ("pooler.dense",), ("bert/pooler/dense",), "DD")

HEAD_TENSORFLOW_NAMES: Mapping[str, tuple[str, bool]] = {
    "cls.predictions.transform.dense.weight": ("cls/predictions/transform/dense/kernel", True),
    "cls.predictions.transform.dense.bias": ("cls/predictions/transform/dense/bias", False),
    "cls.predictions.transform.LayerNorm.weight": ("cls/predictions/transform/LayerNorm/gamma", False),
    "cls.predictions.transform.LayerNorm.bias": ("cls/predictions/transform/LayerNorm/beta", False),
    "cls.predictions.bias": ("cls/predictions/output_bias", False),
    "cls.seq_relationship.weight": ("cls/seq_relationship/output_weights", False),
    "cls.seq_relationship.bias": ("cls/seq_relationship/output_bias", False),
    "classifier.weight": ("output_weights", False),
    "classifier.bias": ("output_bias", False),
}
"""Heads, Hugging Face → (TF1 name, transposed). We build none; they are dropped, or kept on request."""

HEAD_PREFIXES = ("cls.", "classifier.", "qa_outputs.", "lm_head.")
"""What begins so belongs to a head even in a folder without the prefix."""

PREFIXES: Mapping[Family, str] = {
    "bert": "bert.",
    "roberta": "roberta.",
    "xlm-roberta": "roberta.",
    "camembert": "roberta.",
}
"""Before every encoder and pooler tensor of a BertFor… model, absent in a BertModel's."""

BUFFERS = frozenset({"embeddings.position_ids", "embeddings.token_type_ids"})
"""Constants that old versions of transformers saved: 0, 1, 2, … and zeros; never weights."""


def encoder_parameters(num_hidden_layers: int) -> tuple[Parameter, ...]:
    """Every row of an encoder with so many layers, in the order of our state dict.

    Args:
        num_hidden_layers: Layers to generate rows for.
    """
    layers = (row.at_layer(layer) for layer in range(num_hidden_layers) for row in LAYER_PARAMETERS)
    return (*EMBEDDING_PARAMETERS, *layers)


def modern_name(name: str) -> str:
    """Give a layer norm's tensor its present name: `.gamma` becomes `.weight`, `.beta` becomes `.bias`."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith("LayerNorm" + old):
            return name.removesuffix(old) + new
    return name


def join_parts(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    """Make our parameter from its foreign tensors: stacked along the first axis; a single one as it is."""
    tensors = tuple(parts)
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def from_hugging_face(
    tensors: dict[str, torch.Tensor], parameters: Iterable[Parameter]
) -> dict[str, torch.Tensor]:
    """Turn Hugging Face tensors into ours, emptying the source as it goes so that no second copy builds up.

    Args:
        tensors: By Hugging Face name without prefix; every part of `parameters`. What is used is removed.
        parameters: Rows to make.

    Returns:
        Tensors by our names.
    """
    return {row.name: join_parts([tensors.pop(part) for part in row.hugging_face]) for row in parameters}


def to_hugging_face(
    tensors: Mapping[str, torch.Tensor], parameters: Iterable[Parameter], *, prefix: str = ""
) -> dict[str, torch.Tensor]:
    """Turn our tensors into Hugging Face's; query, key and value become views of the stacked one.

    Args:
        tensors: By our names; every row of `parameters`.
        parameters: Rows to write.
        prefix: "" for a BertModel; for a model with a head one of PREFIXES.

    Returns:
        Tensors by Hugging Face name.
    """
    return {
        prefix + part: piece
        for row in parameters
        for part, piece in zip(row.hugging_face, tensors[row.name].chunk(len(row.hugging_face)), strict=True)
    }
