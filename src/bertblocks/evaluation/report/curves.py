"""ROC and precision-recall curves of single labels, from scikit-learn; of many rows from a random part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from bertblocks.blocks import Task
from bertblocks.evaluation.report_data import EvaluatedRows

# Sorting a million scores for each label would take minutes and hundreds of megabytes; of this many rows a
# curve looks the same.
SAMPLE_ROWS = 100_000
# 32 MiB of float32, however many rows there are.
_SAMPLE_CELLS = 1 << 23
# Points of a curve that is drawn.
_DRAWN_POINTS = 300
# At these thresholds a table tells what would be found.
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Points to draw, few enough for a page.

    Attributes:
        x: From left to right, or from right to left.
        y: One a point.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ThresholdRow:
    """What a threshold would do.

    Attributes:
        threshold: The label is given from this probability on.
        precision: Share of the rows given the label that have it; None where none is given it.
        recall: Share of the rows with the label that are given it.
        false_alarms: Share of the rows without the label that are given it.
    """

    threshold: float
    precision: float | None
    recall: float
    false_alarms: float


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelCurves:
    """How well the probabilities of one label tell rows with it from rows without it.

    Attributes:
        label: Its place among the labels.
        num_rows: Rows looked at.
        num_having: Rows of them that have the label.
        roc: Share of false alarms, and of rows found.
        precision_recall: Recall, and precision.
        roc_auc: Area under the first.
        average_precision: Precision over all thresholds.
        thresholds: Some thresholds, and what they would do.
    """

    label: int
    num_rows: int
    num_having: int
    roc: Curve
    precision_recall: Curve
    roc_auc: float
    average_precision: float
    thresholds: tuple[ThresholdRow, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Rows whose scores are held.

    Attributes:
        targets: Their truth, as EvaluatedRows has it.
        scores: Their probabilities, shape (rows, labels).
        is_part: Whether there are more rows.
    """

    targets: NDArray[Any]
    scores: NDArray[Any]
    is_part: bool


def sample_rows(rows: EvaluatedRows, *, seed: int = 0) -> Sample:
    """All rows, or a random part that can be held; the same rows and seed give the same part."""
    num_rows, num_labels = rows.scores.shape
    most = min(SAMPLE_ROWS, max(1, _SAMPLE_CELLS // num_labels))
    if num_rows <= most:
        return Sample(targets=rows.targets, scores=np.asarray(rows.scores), is_part=False)
    chosen = np.sort(np.random.default_rng(seed).choice(num_rows, most, replace=False))
    return Sample(targets=rows.targets[chosen], scores=np.asarray(rows.scores[chosen]), is_part=True)


def label_curves(task: Task, sample: Sample, labels: Sequence[int]) -> Iterator[LabelCurves]:
    """The curves of some labels; those that all or none of the rows have are left out."""
    for label in labels:
        has_label = sample.targets[:, label] > 0 if task.kind == "multilabel" else sample.targets == label
        if 0 < np.count_nonzero(has_label) < len(has_label):
            yield _curves(label, has_label, sample.scores[:, label])


def _curves(label: int, has_label: NDArray[np.bool_], scores: NDArray[Any]) -> LabelCurves:
    false_alarms, found, roc_thresholds = sk.roc_curve(has_label, scores, drop_intermediate=False)
    precision, recall, thresholds = sk.precision_recall_curve(has_label, scores)
    # In the scores' own precision, as predictions are compared: 0.3 in float64 is not 0.3 in float32.
    wanted = np.asarray(THRESHOLDS, dtype=scores.dtype)
    # The last of the falling thresholds that is reached from above, and the first of the rising ones.
    on_roc = len(roc_thresholds) - 1 - np.searchsorted(roc_thresholds[::-1], wanted)
    on_precision = np.searchsorted(thresholds, wanted)
    return LabelCurves(
        label=label,
        num_rows=len(has_label),
        num_having=int(np.count_nonzero(has_label)),
        roc=thinned(false_alarms, found),
        precision_recall=thinned(recall, precision),
        roc_auc=float(sk.auc(false_alarms, found)),
        average_precision=float(sk.average_precision_score(has_label, scores)),
        thresholds=tuple(
            ThresholdRow(
                threshold=threshold,
                # Past the last score nothing is given the label; scikit-learn calls that a precision of 1.
                precision=float(precision[below]) if below < len(thresholds) else None,
                recall=float(found[above]),
                false_alarms=float(false_alarms[above]),
            )
            for threshold, above, below in zip(THRESHOLDS, on_roc, on_precision, strict=True)
        ),
    )


def thinned(x: NDArray[np.float64], y: NDArray[np.float64], most: int = _DRAWN_POINTS) -> Curve:
    """Of a long curve so many points, at equal distances along it."""
    if len(x) <= most:
        return Curve(x=x, y=y)
    along = np.concatenate([[0.0], np.hypot(np.diff(x), np.diff(y)).cumsum()])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)))
    kept = np.union1d(kept, [0, len(x) - 1])
    return Curve(x=x[kept], y=y[kept])
