"""Which class of transformers a checkpoint's head belongs to, so that its config.json can name it.

    class (of BERT)              tensors
    ForPreTraining               cls.predictions.*, cls.seq_relationship.*
    ForMaskedLM                  cls.predictions.*
    ForNextSentencePrediction    cls.seq_relationship.*
    ForSequenceClassification    classifier.*       beside a pooler
    ForTokenClassification       classifier.*       without one
    ForQuestionAnswering         qa_outputs.*

RoBERTa's family has lm_head.* for ForMaskedLM, and its classifier of sequences has a dense layer of its own
(classifier.dense, classifier.out_proj), that of tokens none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bertblocks.checkpoints.folders import Checkpoint
from bertblocks.checkpoints.huggingface_config import class_name
from bertblocks.errors import CheckpointError

_PARTS = ("classifier.", "qa_outputs.")
_PARTS_OF_BERT = ("cls.predictions.", "cls.seq_relationship.", *_PARTS)
_PARTS_OF_ROBERTA = ("lm_head.", *_PARTS)
_WITH_POOLER = (
    "ForPreTraining",
    "ForNextSentencePrediction",
    "ForSequenceClassification",
    "ForMultipleChoice",
)
"""Classes of BERT that read the pooler's vector; of RoBERTa's family the last alone does."""
_PURPOSES: Mapping[frozenset[str], tuple[str, ...]] = {
    frozenset({"cls.predictions.", "cls.seq_relationship."}): ("ForPreTraining",),
    frozenset({"cls.predictions."}): ("ForMaskedLM",),
    frozenset({"cls.seq_relationship."}): ("ForNextSentencePrediction",),
    frozenset({"lm_head."}): ("ForMaskedLM",),
    frozenset({"qa_outputs."}): ("ForQuestionAnswering",),
    frozenset({"classifier."}): (
        "ForSequenceClassification",
        "ForTokenClassification",
        "ForMultipleChoice",
    ),
}
_WITH_LABELS = ("ForSequenceClassification", "ForTokenClassification")
_LABEL_KEYS = ("id2label", "label2id", "problem_type")


@dataclass(frozen=True, kw_only=True)
class HeadClass:
    """What config.json says of a head.

    Attributes:
        name: The class, such as "BertForPreTraining".
        config: Keys of config.json: architectures, and of a classifier its labels.
        foreign: Names of tensors that the class has no place for.
        has_pooler: Whether it reads BERT's pooler.
    """

    name: str
    config: Mapping[str, Any]
    foreign: tuple[str, ...]
    has_pooler: bool


def head_class(checkpoint: Checkpoint, stated: Mapping[str, Any]) -> HeadClass | None:
    """Find the class that holds a checkpoint's head.

    Args:
        checkpoint: Read with its heads.
        stated: The config.json that it came with; empty for Google's form. Its class is taken where the
            tensors allow it, and its labels where they are as many as the classifier has.

    Returns:
        The class; None where no class of transformers knows any of the head's tensors.

    Raises:
        CheckpointError: If there are heads of several classes, or a classifier of an impossible shape.
    """
    known = _PARTS_OF_BERT if checkpoint.config.family == "bert" else _PARTS_OF_ROBERTA
    foreign = tuple(name for name in checkpoint.head if not name.startswith(known))
    parts = frozenset(part for part in known if any(name.startswith(part) for name in checkpoint.head))
    if not parts:
        return None
    purpose = _purpose(checkpoint, parts, stated.get("architectures"))
    name = class_name(checkpoint.config.family, purpose)
    labels = _labels(_num_labels(checkpoint), stated) if purpose in _WITH_LABELS else {}
    reading = _WITH_POOLER if checkpoint.config.family == "bert" else _WITH_POOLER[-1:]
    return HeadClass(
        name=name,
        config={"architectures": [name], **labels},
        foreign=foreign,
        has_pooler=purpose in reading,
    )


def _purpose(checkpoint: Checkpoint, parts: frozenset[str], architectures: Any) -> str:
    possible = _PURPOSES.get(parts)
    if possible is None:
        raise CheckpointError(
            f"{checkpoint.folder} holds the heads of several models ({_starts(parts)}), and a class of "
            "transformers has a place for one. Convert it without its heads."
        )
    for purpose in possible:
        if architectures == [class_name(checkpoint.config.family, purpose)]:
            return purpose
    if parts != {"classifier."}:
        return possible[0]
    reads_first_token = (
        checkpoint.pooler is not None
        if checkpoint.config.family == "bert"
        else "classifier.dense.weight" in checkpoint.head
    )
    return "ForSequenceClassification" if reads_first_token else "ForTokenClassification"


def _starts(parts: Iterable[str]) -> str:
    return ", ".join(f"{part}*" for part in sorted(parts))


def _num_labels(checkpoint: Checkpoint) -> int:
    """Rows of the classifier's last layer."""
    last = "classifier.out_proj" if "classifier.out_proj.weight" in checkpoint.head else "classifier"
    weight, bias = (
        tuple(checkpoint.head[name].shape) if name in checkpoint.head else None
        for name in (f"{last}.weight", f"{last}.bias")
    )
    width = checkpoint.config.hidden_size
    if not weight or not weight[0] or weight != (weight[0], width) or bias != weight[:1]:
        raise CheckpointError(
            f"{checkpoint.folder}: {last}.weight and {last}.bias are {weight} and {bias}, expected "
            f"(labels, {width}) and (labels,). Convert it without its heads."
        )
    return weight[0]


def _labels(num_labels: int, stated: Mapping[str, Any]) -> dict[str, Any]:
    names = stated.get("id2label")
    if isinstance(names, dict) and len(names) == num_labels:
        return {key: stated[key] for key in _LABEL_KEYS if key in stated}
    numbered = {str(index): f"LABEL_{index}" for index in range(num_labels)}
    return {"id2label": numbered, "label2id": {label: int(index) for index, label in numbered.items()}}
