"""Logits → predictions, by the kind of task."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.text import Encoded

Answer = str | tuple[str, ...] | float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model says about one text.

    Attributes:
        answer: The label, the labels (multi-label), or the number.
        probabilities: Probability of every label; empty for a number.
        num_tokens: Tokens that the text had, special tokens included.
        truncated: Whether it was longer than the model reads, and cut.
        num_unknown: Unknown tokens among those read.
    """

    answer: Answer
    probabilities: dict[str, float]
    num_tokens: int
    truncated: bool
    num_unknown: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions(Sequence[Prediction]):
    """Predictions of many texts, as columns; indexing gives one row.

    Attributes:
        task: What was asked.
        scores: Probabilities, float32, shape (rows, labels); for regression the numbers, float64, shape
            (rows,).
        num_tokens: Tokens of each text before it was cut.
        truncated: Whether each was cut.
        num_unknown: Unknown tokens of each.
    """

    task: Task
    scores: NDArray[Any]
    num_tokens: NDArray[np.int32]
    truncated: NDArray[np.bool_]
    num_unknown: NDArray[np.int32]

    @property
    def answers(self) -> list[Answer]:
        """The label, labels or number of each row."""
        return answers(self.task, self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self.scores[index]
        labels = self.task.labels
        return Prediction(
            answer=answers(self.task, row[None])[0],
            probabilities={label: float(p) for label, p in zip(labels, row, strict=True)} if labels else {},
            num_tokens=int(self.num_tokens[index]),
            truncated=bool(self.truncated[index]),
            num_unknown=int(self.num_unknown[index]),
        )

    def __iter__(self) -> Iterator[Prediction]:
        return (self[index] for index in range(len(self)))


def predictions(task: Task, logits: NDArray[np.float32], encoded: Encoded) -> Predictions:
    """Join a task's scores with what the tokenizer counted."""
    return Predictions(
        task=task,
        scores=scores_from_logits(task, logits),
        num_tokens=encoded.num_tokens,
        truncated=encoded.truncated,
        num_unknown=encoded.num_unknown,
    )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Predictions of one task, one after another.

    Args:
        parts: At least one.
    """
    first, *others = parts
    if not others:
        return first
    return Predictions(
        task=first.task,
        scores=np.concatenate([part.scores for part in parts]),
        num_tokens=np.concatenate([part.num_tokens for part in parts]),
        truncated=np.concatenate([part.truncated for part in parts]),
        num_unknown=np.concatenate([part.num_unknown for part in parts]),
    )


def scores_from_logits(task: Task, logits: NDArray[np.float32]) -> NDArray[Any]:
    """Probabilities, float32, shape (rows, labels); or numbers in the target's own unit, shape (rows,).

    Numbers are float64: beside a large mean, float32 could not tell them apart.
    """
    if task.activation == "linear":
        return targets_in_unit(task, logits.reshape(-1))
    if not len(logits):
        return np.empty((0, task.num_outputs), dtype=np.float32)
    scaled = logits.astype(np.float64) / np.asarray(task.temperatures or task.temperature)
    # By numpy, as importing scipy for it takes longer than predicting a text.
    scores = _softmax(scaled) if task.activation == "softmax" else np.exp(-np.logaddexp(0.0, -scaled))
    return scores.astype(np.float32)


def _softmax(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def answers(task: Task, scores: NDArray[Any]) -> list[Answer]:
    """The label, labels or number that scores stand for."""
    if task.kind == "regression":
        return [float(score) for score in scores]
    if task.kind == "multilabel":
        given = scores >= np.asarray(task.thresholds or 0.5, dtype=np.float32)
        return [tuple(label for label, on in zip(task.labels, row, strict=True) if on) for row in given]
    return [task.labels[index] for index in scores.argmax(axis=1)]


def targets_in_unit(task: Task, targets: NDArray[Any]) -> NDArray[Any]:
    """Undo the scaling of regression targets; other targets are returned as they are."""
    if task.kind != "regression":
        return targets
    return np.asarray(targets, dtype=np.float64) * task.target_scale + task.target_mean


def rounded(task: Task, number: float, digits: int = 7) -> float:
    """A predicted number without the digits that mean nothing: 0.3, and not 0.30000001192092896.

    Args:
        task: A regression.
        number: In the target's own unit.
        digits: Decimals to keep in units of target_scale; logits are float32, which has about 7.
    """
    return round(number, digits - math.floor(math.log10(task.target_scale)))
