"""BERT's pooler and the last dense layer ↔ the heads of transformers' …ForSequenceClassification.

    family      pooler                          last dense layer
    bert        bert.pooler.dense               classifier
    roberta …   classifier.dense                classifier.out_proj

Both apply tanh between them, so logits are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bertblocks.blocks import BertPooler, Dense, Dropout, Graph, Task
from bertblocks.checkpoints.folders import Checkpoint
from bertblocks.checkpoints.huggingface_config import class_name
from bertblocks.encoder import Family
from bertblocks.errors import CheckpointError

_KINDS = ("weight", "bias")
_PROBLEM_TYPES = {
    "classification": "single_label_classification",
    "binary": "single_label_classification",
    "multilabel": "multi_label_classification",
    "regression": "regression",
}


def opens_as_sequence_classification(graph: Graph) -> bool:
    """Whether transformers.AutoModelForSequenceClassification can hold this graph with equal logits."""
    kinds = [type(block) for block in graph.head if not isinstance(block, Dropout)]
    slides = graph.tokenizer is not None and graph.tokenizer.windows == "slide"
    return graph.encoder.output == "cls" and kinds == [BertPooler, Dense] and not slides


def split_head(
    graph: Graph, head: Mapping[str, Tensor], family: Family
) -> tuple[dict[str, Tensor] | None, dict[str, Tensor]]:
    """Tell apart what goes where transformers looks for it.

    Args:
        graph: One that opens as a sequence classification.
        head: The tensors of its head's module ("0.weight", "2.bias").
        family: Of the encoder.

    Returns:
        The encoder's pooler where the family keeps it there, and the head under Hugging Face's names.
    """
    pooler, classifier = (
        {kind: head[f"{index}.{kind}"] for kind in _KINDS} for index in _dense_indices(graph)
    )
    if family == "bert":
        return pooler, {f"classifier.{kind}": tensor for kind, tensor in classifier.items()}
    named = {f"classifier.dense.{kind}": tensor for kind, tensor in pooler.items()}
    return None, {**named, **{f"classifier.out_proj.{kind}": tensor for kind, tensor in classifier.items()}}


def join_head(graph: Graph, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The tensors of the head's module, from where split_head put them.

    Raises:
        CheckpointError: If one is missing, or there are others.
    """
    if checkpoint.config.family == "bert":
        parts = {f"pooler.{kind}": tensor for kind, tensor in (checkpoint.pooler or {}).items()}
        first, last = "pooler", "classifier"
    else:
        parts, first, last = {}, "classifier.dense", "classifier.out_proj"
    found = {**parts, **checkpoint.head}
    pooler, classifier = _dense_indices(graph)
    places = {
        f"{name}.{kind}": f"{index}.{kind}"
        for name, index in ((first, pooler), (last, classifier))
        for kind in _KINDS
    }
    if set(found) != set(places):
        raise CheckpointError(
            f"{checkpoint.folder} should hold a head of {sorted(places)}, but holds {sorted(found)}."
        )
    return {place: found[name] for name, place in places.items()}


def head_config(graph: Graph, task: Task, family: Family) -> dict[str, Any]:
    """What config.json says of the head."""
    labels = task.labels or (graph.target.column,)
    dropout = next((block.rate for block in graph.head if isinstance(block, Dropout)), 0.0)
    return {
        "architectures": [class_name(family, "ForSequenceClassification")],
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": _PROBLEM_TYPES[task.kind],
        "classifier_dropout": dropout,
    }


def _dense_indices(graph: Graph) -> tuple[int, int]:
    """Where pooler and classifier stand among the head's modules."""
    pooler, classifier = (i for i, block in enumerate(graph.head) if not isinstance(block, Dropout))
    return pooler, classifier
