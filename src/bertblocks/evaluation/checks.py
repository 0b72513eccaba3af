"""Whether predictions and truth belong to a task and to each other, said before a metric is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.errors import DataError, ShapeError

# Probabilities from bfloat16 or int8 logits add up to one only roughly; logits mistaken for them are far off.
_SUM_TOLERANCE = 0.02
_CHECKED_CELLS = 1 << 17


def check_predictions(task: Task, targets: NDArray[Any], scores: NDArray[Any]) -> None:
    """Refuse truth and scores that no metric can be computed from.

    Args:
        task: What was asked.
        targets: The truth, as compute_metrics takes it.
        scores: Probabilities or numbers, as compute_metrics takes them.

    Raises:
        ShapeError: If the shapes are not those of the task, or not each other's.
        DataError: If there are no rows, or values that cannot be; all problems at once.
    """
    _check_shapes(task, np.shape(targets), np.shape(scores))
    if not len(targets):
        raise DataError("There are no rows to evaluate: metrics need at least one row with a target.")
    problems = check_targets(task, targets) + _score_problems(task, scores)
    if problems:
        raise DataError("The predictions cannot be evaluated: " + "; ".join(problems) + ".")


def _check_shapes(task: Task, targets: tuple[int, ...], scores: tuple[int, ...]) -> None:
    num_rows = targets[0] if targets else 0
    wide, flat = (num_rows, task.num_outputs), (num_rows,)
    expected_scores = flat if task.kind == "regression" else wide
    expected_targets = wide if task.kind == "multilabel" else flat
    if targets != expected_targets or scores != expected_scores:
        raise ShapeError(
            f"A {task.kind} task with {task.num_outputs} outputs needs targets of shape {expected_targets} "
            f"and scores of shape {expected_scores}, but found {targets} and {scores}: "
            "give one row of each a text."
        )


def check_targets(task: Task, targets: NDArray[Any]) -> list[str]:
    """The problems of targets that have the right shape; an empty list if there are none."""
    if targets.dtype.kind not in "biuf":
        return [f"the targets are of type {targets.dtype}, but must be numbers"]
    if task.kind == "regression":
        return _where(~np.isfinite(targets), targets, "targets are not finite numbers")
    if task.kind == "multilabel":
        return _where((targets != 0) & (targets != 1), targets, "targets are neither 0 nor 1")
    if targets.dtype.kind not in "iu":
        return [f"the targets are of type {targets.dtype}, but must be the positions of labels, integers"]
    bad = (targets < 0) | (targets >= len(task.labels))
    return _where(
        bad, targets, f"targets are not among the {len(task.labels)} labels (0 to {len(task.labels) - 1})"
    )


def _score_problems(task: Task, scores: NDArray[Any]) -> list[str]:
    if scores.dtype.kind not in "biuf":
        return [f"the scores are of type {scores.dtype}, but must be numbers"]
    problems = _where_in(scores, lambda part: ~np.isfinite(part), "scores are not finite numbers")
    if task.kind == "regression" or problems:
        return problems
    problems = _where_in(
        scores, lambda part: (part < 0) | (part > 1), "scores are not probabilities from 0 to 1 (logits?)"
    )
    if task.activation == "softmax" and not problems:
        sums = scores.sum(axis=1, dtype=np.float32)
        problems = _where(np.abs(sums - 1) > _SUM_TOLERANCE, sums, "rows of probabilities do not add up to 1")
    return problems


def _where_in(
    values: NDArray[Any], is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]], what: str
) -> list[str]:
    """As _where, some rows at a time: values may lie in a file, and be more than the memory holds."""
    step = max(1, _CHECKED_CELLS // max(1, math.prod(values.shape[1:])))
    count, told = 0, ""
    for start in range(0, len(values), step):
        part = values[start : start + step]
        bad = is_bad(part)
        if not told and bad.any():
            place = np.unravel_index(int(bad.argmax()), bad.shape)
            told = _first(part[place], start + int(place[0]))
        count += np.count_nonzero(bad)
    return [f"{count:,} {what}, {told}"] if told else []


def _where(bad: NDArray[np.bool_], values: NDArray[Any], what: str) -> list[str]:
    count = np.count_nonzero(bad)
    if not count:
        return []
    first = np.unravel_index(int(bad.argmax()), bad.shape)
    return [f"{count:,} {what}, {_first(values[first], int(first[0]))}"]


def _first(value: Any, row: int) -> str:
    return f"the first {value} in row {row} (counted from 0)"
