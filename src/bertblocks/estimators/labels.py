"""Labels as a classifier is given them: one a text, lists of them, or scikit-learn's matrix of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bertblocks.data import column_values
from bertblocks.data.labels import number_of
from bertblocks.data.targets import MOST_INTEGER_CLASSES
from bertblocks.errors import DataError


def matrix_width(labels: Any) -> int | None:
    """How many labels a matrix of 0 and 1 has, one a column; None where the labels are no such matrix."""
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.shape[1] < 2:
        return None
    return labels.shape[1] if np.isin(labels, (0, 1)).all() else None


def label_column(labels: Any) -> list[Any]:
    """The label or list of labels of each text; of a matrix the columns in which a text has 1.

    Raises:
        DataError: If they are no column, and no matrix of 0 and 1.
    """
    if matrix_width(labels) is not None:
        return [np.flatnonzero(row).tolist() for row in labels]
    if isinstance(labels, np.ndarray) and labels.ndim > 1:
        raise DataError(
            f"targets has the shape {labels.shape}{_other_values(labels)}: expected one label a text, lists "
            "of labels, or a matrix of 0 and 1 with a column for each of 2 or more labels. Of a single "
            "column take targets.ravel()."
        )
    column = column_values(labels, "targets")
    _refuse_listed_matrix(column)
    return column


def _other_values(labels: np.ndarray[Any, Any]) -> str:
    """What a matrix holds besides 0 and 1, in words; empty where that is not what is wrong."""
    if labels.ndim != 2 or labels.shape[1] < 2:
        return ""
    places = np.argwhere(~np.isin(labels, (0, 1)))
    return f" and in row {places[0][0]} the value {labels[tuple(places[0])]}" if len(places) else ""


def _refuse_listed_matrix(column: Sequence[Any]) -> None:
    """Refuse rows of 0 and 1 of one length that repeat them: no list of labels does so.

    Raises:
        DataError: Names the first such row.
    """
    rows = [row for row in column if isinstance(row, list | tuple)]
    if len(rows) != len(column) or len({len(row) for row in rows}) != 1:
        return
    if not all(value in (0, 1) and not isinstance(value, str) for row in rows for value in row):
        return
    repeating = next((index for index, row in enumerate(rows) if len(set(row)) < len(row)), None)
    if repeating is not None:
        raise DataError(
            f"targets[{repeating}] is {rows[repeating]!r:.100}, which names a label twice. A matrix of 0 and "
            "1, a column for each label, is given as numpy.array(targets)."
        )


def refuse_numbers(labels: Sequence[Any]) -> None:
    """Refuse numbers of which each would be a class of its own.

    Raises:
        DataError: If all are numbers, many of them different, and not all whole.
    """
    numbers = {number_of(label) for label in labels}
    fractions = [number for number in numbers if number is not None and not number.is_integer()]
    if len(numbers) > MOST_INTEGER_CLASSES and None not in numbers and fractions:
        raise DataError(
            f"targets are {len(numbers):,} different numbers, such as {fractions[0]:g}: TextRegressor "
            "predicts numbers. If each is a class, give them as texts that are no numbers."
        )
