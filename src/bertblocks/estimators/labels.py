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
            f"targets has the shape {labels.shape}: expected one label a text, lists of labels, or a matrix "
            "of 0 and 1 with a column for each of 2 or more labels. Of a single column take targets.ravel()."
        )
    return column_values(labels, "targets")


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
