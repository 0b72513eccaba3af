"""What was answered where: counted in slices of the rows, whose scores may lie in a file.

Axes: C labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import confusion_matrix

from bertblocks.blocks import Task
from bertblocks.evaluation.report_data import EvaluatedRows

# Scores read at a time: 2 ** 20 of float64 are 8 MiB.
_SLICE_CELLS = 1 << 20
_SLICE_ROWS = 1 << 16
# scikit-learn's matrix is dense: of 10,000 labels it would be 800 MB, of so many it is 2 MB.
_MAX_DENSE_LABELS = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelTallies:
    """Rows by label.

    Attributes:
        having: Rows that have the label, int64, shape (C,).
        given: Rows that were given it.
        hits: Rows that have it and were given it.
    """

    having: NDArray[np.int64]
    given: NDArray[np.int64]
    hits: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Rows of one label that were given another.

    Attributes:
        truth: Place of the true label.
        answer: Place of the given one.
        num_rows: How many they are.
    """

    truth: int
    answer: int
    num_rows: int


def row_slices(num_rows: int, num_columns: int) -> Iterator[slice]:
    """Slices that cover all rows, each with few enough scores to hold."""
    step = max(1, min(_SLICE_ROWS, _SLICE_CELLS // max(1, num_columns)))
    for start in range(0, num_rows, step):
        yield slice(start, min(start + step, num_rows))


def confusion_counts(task: Task, rows: EvaluatedRows) -> sparse.csr_array:
    """Rows by true label and answer, shape (C, C), truth first; for tasks that choose one label."""
    num_labels = len(task.labels)
    total = sparse.csr_array((num_labels, num_labels), dtype=np.int64)
    for part in row_slices(len(rows.targets), num_labels):
        total = total + _counts(rows.targets[part], np.argmax(rows.scores[part], axis=1), num_labels)
    return total


def _counts(truth: NDArray[Any], answers: NDArray[Any], num_labels: int) -> sparse.csr_array:
    if num_labels <= _MAX_DENSE_LABELS:
        return sparse.csr_array(confusion_matrix(truth, answers, labels=np.arange(num_labels)))
    ones = np.ones(len(truth), dtype=np.int64)
    return sparse.coo_array((ones, (truth, answers)), shape=(num_labels, num_labels)).tocsr()


def tallies_of_confusion(counts: sparse.csr_array) -> LabelTallies:
    """Rows by label, for tasks that choose one."""
    return LabelTallies(
        having=np.asarray(counts.sum(axis=1), dtype=np.int64).ravel(),
        given=np.asarray(counts.sum(axis=0), dtype=np.int64).ravel(),
        hits=np.asarray(counts.diagonal(), dtype=np.int64),
    )


def tallies_of_labels(task: Task, rows: EvaluatedRows) -> LabelTallies:
    """Rows by label, for tasks that give any number of them."""
    having, given, hits = (np.zeros(len(task.labels), dtype=np.int64) for _ in range(3))
    # The comparison of a prediction, in the scores' own precision.
    thresholds = np.asarray(task.thresholds or 0.5, dtype=rows.scores.dtype)
    for part in row_slices(len(rows.targets), len(task.labels)):
        truth, answers = rows.targets[part] > 0, rows.scores[part] >= thresholds
        having += np.count_nonzero(truth, axis=0)
        given += np.count_nonzero(answers, axis=0)
        hits += np.count_nonzero(truth & answers, axis=0)
    return LabelTallies(having=having, given=given, hits=hits)


def confusions(counts: sparse.csr_array) -> list[Confusion]:
    """Every mistake that was made, the most frequent first."""
    cells = counts.tocoo()
    wrong = (cells.row != cells.col) & (cells.data > 0)
    truth, answer, num_rows = cells.row[wrong], cells.col[wrong], cells.data[wrong]
    order = np.lexsort((answer, truth, -num_rows))
    return [
        Confusion(truth=int(truth[place]), answer=int(answer[place]), num_rows=int(num_rows[place]))
        for place in order
    ]
