"""How much a row or a class counts in a loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks.task import Task
from bertblocks.data.labels import number_of
from bertblocks.data.target_column import some
from bertblocks.data.values import first_few, is_missing, shown
from bertblocks.errors import ConfigError, DataError


def weight_problem(value: Any) -> str | None:
    """Why a value can be no row's weight; None if it can."""
    if is_missing(value):
        return "the weight is missing"
    number = number_of(value)
    if number is None or not math.isfinite(number) or number < 0:
        return f"expected a weight, a finite number of 0 or more, found {shown(value)}"
    return None


def weight_of(value: Any) -> float:
    """The weight that a value without a weight_problem stands for."""
    number = number_of(value)
    assert number is not None, "weight_problem() comes before weight_of()"
    return number


def row_weights(values: Sequence[Any], *, name: str) -> NDArray[np.float64]:
    """Read a weight for each row.

    Args:
        values: Numbers, or texts that are numbers.
        name: What they are called, for messages.

    Raises:
        DataError: If one is missing, not finite or negative, naming the first few rows; or all are 0.
    """
    found = ((row, weight_problem(value)) for row, value in enumerate(values, 1))
    if problems := [f"row {row}: {problem}" for row, problem in found if problem]:
        raise DataError(f"{name}, {first_few(problems)}.")
    weights = np.array([weight_of(value) for value in values], dtype=np.float64)
    check_weights(weights, name=name)
    return weights


def check_weights(weights: NDArray[np.float64], *, name: str) -> None:
    """Refuse weights of which none counts.

    Raises:
        DataError: If all are 0.
    """
    if len(weights) and not weights.any():
        raise DataError(f"{name}: all {len(weights):,} weights are 0, so that no row counts: give some more.")


def mean_one(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """The weights divided by their mean: only their proportions count, and a weight of 1 is no weight."""
    # By the largest first, so that the sum of huge weights is finite.
    scaled = weights / weights.max()
    return np.asarray(scaled / scaled.mean(), dtype=np.float32)


def balanced_class_weights(
    targets: NDArray[Any], task: Task, rows: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Weights that let every class count the same, however rare it is.

    Args:
        targets: As encode_targets gives them, N rows.
        task: Any but a regression.
        rows: How often each row counts; once where None.

    Returns:
        Of a classification or binary task N / (C * rows of the class), scikit-learn's "balanced"; of a
        multi-label task, for each label the weight of rows that have it against those that have not, rows
        without / rows with. Float32, shape (C,); 1 for a class without rows, and for a label that all rows
        have.

    Raises:
        ConfigError: If the task is a regression.
    """
    _refuse_regression(task)
    counts = np.ones(len(targets)) if rows is None else rows.astype(np.float64)
    having = _class_counts(targets, task, counts)
    present = having > 0
    if task.kind == "multilabel":
        lacking = counts.sum() - having
        # A label that every row has tells nothing apart; at 0 it would not be learnt at all.
        varies = present & (lacking > 0)
        return np.where(varies, lacking / np.where(present, having, 1), 1).astype(np.float32)
    balanced = counts.sum() / (present.sum() * np.where(present, having, 1))
    return np.where(present, balanced, 1).astype(np.float32)


def chosen_class_weights(chosen: Mapping[str, float], task: Task) -> NDArray[np.float32]:
    """The weights that somebody chose, in the order of the task's labels, float32, shape (C,).

    Raises:
        ConfigError: If the task is a regression, a label is unknown or missing, or a weight cannot be; all
            problems at once.
    """
    _refuse_regression(task)
    problems = []
    if unknown := [label for label in chosen if label not in task.labels]:
        problems.append(f"unknown labels: {some(unknown)}")
    if missing := [label for label in task.labels if label not in chosen]:
        problems.append(f"labels without a weight: {some(missing)}")
    problems += [
        f"{label!r}: {problem}" for label, value in chosen.items() if (problem := weight_problem(value))
    ]
    if not problems and not any(weight_of(value) for value in chosen.values()):
        problems.append("all are 0, so that no class counts")
    if problems:
        raise ConfigError(
            f"class_weight needs one weight for each of the labels {some(task.labels)}: "
            f"{'; '.join(problems)}."
        )
    return np.array([weight_of(chosen[label]) for label in task.labels], dtype=np.float32)


def class_weights_in_loss(
    chosen: Mapping[str, float] | str | None,
    targets: NDArray[Any],
    task: Task,
    rows: NDArray[np.float32] | None = None,
) -> NDArray[np.float32] | None:
    """The factor of each class in the loss, or None where all count the same.

    Of one class a text, only the proportions of weights count: they are divided by their mean over the rows,
    so that they do not change how far a step goes. Of several labels a weight sets the rows that have the
    label against those that lack it, and is taken as it is.

    Args:
        chosen: A weight for each label, "auto" for balanced ones, or None.
        targets: Of the training rows.
        task: What is predicted.
        rows: How often each of these rows counts; once where None.
    """
    if chosen is None:
        return None
    if isinstance(chosen, str):
        return balanced_class_weights(targets, task, rows)
    weights = chosen_class_weights(chosen, task)
    if task.kind == "multilabel":
        return weights
    mean = np.average(weights[targets].astype(np.float64), weights=rows)
    if not mean:
        raise ConfigError("class_weight is 0 for every label that the training rows have: no row counts.")
    return np.asarray(weights / mean, dtype=np.float32)


def _class_counts(targets: NDArray[Any], task: Task, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many rows each class or label has, shape (C,)."""
    if task.kind == "multilabel":
        having: NDArray[np.float64] = counts @ targets.astype(np.float64)
        return having
    return np.asarray(np.bincount(targets, weights=counts, minlength=len(task.labels)), dtype=np.float64)


def _refuse_regression(task: Task) -> None:
    if task.kind == "regression":
        raise ConfigError("Class weights have no effect on a regression: leave them out.")
