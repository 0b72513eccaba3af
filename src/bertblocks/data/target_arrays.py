"""Targets as the numbers that a loss takes."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks._words import counted
from bertblocks.blocks.task import Task
from bertblocks.data.batches import Reason
from bertblocks.data.labels import label_list, label_of, number_of, numeric_label
from bertblocks.data.target_column import TargetColumn, regression_number, some
from bertblocks.errors import DataError


def encode_targets(
    values: Iterable[Any],
    task: Task,
    *,
    column: str,
    rows: Sequence[int] | None = None,
    label_separator: str | None = None,
) -> NDArray[Any]:
    """Turn raw targets into what a loss takes.

    Args:
        values: The raw targets, N of them.
        task: The task, with the labels or the scaling.
        column: Name of the column, for messages.
        rows: Row number of each value, for messages; from 1 by default.
        label_separator: As for infer_task; multi-label only.

    Returns:
        Of a classification or binary task the classes' indices, int64, shape (N,); of a multi-label task 0
        and 1, float32, shape (N, C); of a regression (value - target_mean) / target_scale, float64, shape
        (N,), from which the value can be had back.

    Raises:
        DataError: If a value is missing, is not a number or not one of the labels; the first few with their
            rows.
    """
    targets = TargetColumn(column, values, rows)
    reader = TargetReader(task, label_separator)
    found = targets.read(reader.read, advice=reader.known)
    if task.kind == "regression":
        scaled: NDArray[np.float64] = (np.array(found) - task.target_mean) / task.target_scale
        return scaled
    if task.kind != "multilabel":
        return np.array(found, dtype=np.int64)
    encoded = np.zeros((len(found), len(task.labels)), dtype=np.float32)
    for i, classes in enumerate(found):
        encoded[i, classes] = 1.0
    return encoded


def unlabeled_rows(targets: NDArray[Any], task: Task) -> str:
    """Say how many rows of a multi-label task have no label; "" where all have one."""
    count = int((targets.sum(axis=1) == 0).sum()) if task.kind == "multilabel" else 0
    if not count:
        return ""
    one = "row has no label; it counts as a row that lacks all of them."
    return counted(count, one, "rows have no label; they count as rows that lack all of them.")


def task_label(value: Any, task: Task) -> str:
    """A value as the task writes its labels: where "3" is one, 3.0 and "3.0" are it too.

    Raises:
        DataError: If the value can be no label.
    """
    return _label(value, task.labels)


def _label(value: Any, labels: Container[str]) -> str:
    label, number = label_of(value), number_of(value)
    if label not in labels and number is not None and math.isfinite(number):
        return numeric_label(number)
    return label


class _UnknownLabelError(DataError):
    """A label that the task does not have."""


class TargetReader:
    """Reads the targets of a task, one by one.

    Args:
        task: With its labels.
        label_separator: As for infer_task; multi-label only.
    """

    def __init__(self, task: Task, label_separator: str | None = None) -> None:
        self._task = task
        self._label_separator = label_separator
        self._index = {label: i for i, label in enumerate(task.labels)}

    @property
    def known(self) -> str:
        """A sentence that says which labels there are; "" where none are."""
        return f"Known labels: {some(self._task.labels)}." if self._index else ""

    def read(self, value: Any) -> Any:
        """The position of the label, the positions of the labels, or the number.

        Raises:
            DataError: If the value is no number, no label, or not one of the task's.
        """
        if self._task.kind == "regression":
            return regression_number(value)
        if self._task.kind == "multilabel":
            return self._positions(value)
        label = _label(value, self._index)
        if label not in self._index:
            raise _UnknownLabelError(self._unknown(label))
        return self._index[label]

    def problem(self, value: Any) -> tuple[Reason, str] | None:
        """Why a value cannot be read; None if it can."""
        try:
            self.read(value)
        except _UnknownLabelError as error:
            return "unknown label", str(error)
        except DataError as error:
            return "unusable target", str(error)
        return None

    def _positions(self, value: Any) -> list[int]:
        labels = label_list(value, self._label_separator)
        unknown = [label for label in labels if label not in self._index]
        if unknown:
            raise _UnknownLabelError(self._unknown(unknown[0]) + self._hint(value, unknown))
        return [self._index[label] for label in labels]

    def _unknown(self, label: str) -> str:
        return f"the label {some([label])} is unknown"

    def _hint(self, value: Any, unknown: list[str]) -> str:
        """A word about the separator, where a cell that is unknown as a whole has known labels in it."""
        is_whole = isinstance(value, str) and unknown == [value.strip()]
        if not is_whole or not any(label in value for label in self._index):
            return ""
        if self._label_separator is None:
            return " (if it holds several labels, say with --label-separator what stands between them)"
        return f" (labels are separated by {self._label_separator!r} here; --label-separator says otherwise)"
