"""Targets as the numbers that a loss takes."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks.task import Task
from bertblocks.data.labels import label_list, label_of, number_of, numeric_label
from bertblocks.data.target_column import TargetColumn, finite_number, some
from bertblocks.errors import DataError


def encode_targets(
    values: Iterable[Any],
    task: Task,
    *,
    column: str,
    rows: Sequence[int] | None = None,
    label_separator: str | None = None,
) -> NDArray[np.int64] | NDArray[np.float32]:
    """Turn raw targets into what a loss takes.

    Args:
        values: The raw targets, N of them.
        task: The task, with the labels or the scaling.
        column: Name of the column, for messages.
        rows: Row number of each value, for messages; from 1 by default.
        label_separator: As for infer_task; multi-label only.

    Returns:
        Of a classification or binary task the classes' indices, int64, shape (N,); of a multi-label task 0
        and 1, float32, shape (N, C); of a regression (value - target_mean) / target_scale, float32, shape
        (N,).

    Raises:
        DataError: If a value is missing, is not a number or not one of the labels; the first few with their
            rows.
    """
    targets = TargetColumn(column, values, rows)
    if task.kind == "regression":
        numbers = targets.read(finite_number)
        return ((np.array(numbers, dtype=np.float64) - task.target_mean) / task.target_scale).astype(
            np.float32
        )
    index = {label: i for i, label in enumerate(task.labels)}
    if task.kind != "multilabel":
        return np.array(targets.read(lambda value: _class_index(value, index)), dtype=np.int64)
    encoded = np.zeros((len(targets.values), len(index)), dtype=np.float32)
    found = targets.read(lambda value: [_known(label, index) for label in label_list(value, label_separator)])
    for i, classes in enumerate(found):
        encoded[i, classes] = 1.0
    return encoded


def task_label(value: Any, task: Task) -> str:
    """A value as the task writes its labels: where "3" is one, 3.0 and "3.0" are it too.

    Raises:
        DataError: If the value can be no label.
    """
    return _label(value, task.labels)


def _class_index(value: Any, index: dict[str, int]) -> int:
    return _known(_label(value, index), index)


def _label(value: Any, labels: Container[str]) -> str:
    label, number = label_of(value), number_of(value)
    if label not in labels and number is not None and math.isfinite(number):
        return numeric_label(number)
    return label


def _known(label: str, index: dict[str, int]) -> int:
    if label not in index:
        raise DataError(f"the label {label!r} is unknown; known: {some(list(index))}")
    return index[label]
