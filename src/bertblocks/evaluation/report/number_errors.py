"""Answers and truth of a regression, counted in bins: what its pictures show.

Memory is some bytes a row, and given back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error

from bertblocks.evaluation.report.answers import row_slices
from bertblocks.evaluation.report_data import EvaluatedRows

# Bins along a side of the picture of truth and answers, and of the errors.
_SIDE_BINS = 40
_ERROR_BINS = 31
_SIZE_BINS = 10
# With fewer rows a bin of sizes would say nothing.
_ROWS_A_SIZE = 5
# Rare errors many times larger than all others would press those into one bin: they are counted at the ends.
_OUTER_SHARE = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class JointCounts:
    """Rows by truth and answer.

    Attributes:
        truth_edges: Ends of the bins of the truth, shape (bins + 1,).
        answer_edges: Likewise of the answers.
        counts: Rows in each, shape (truth bins, answer bins).
    """

    truth_edges: NDArray[np.float64]
    answer_edges: NDArray[np.float64]
    counts: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class ErrorCounts:
    """Rows by error, which is the answer less the truth.

    Attributes:
        edges: Ends of the bins, shape (bins + 1,).
        counts: Rows in each, those beyond the ends in the first and last.
        num_beyond: Rows beyond the ends.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    num_beyond: int


@dataclass(frozen=True, kw_only=True)
class SizeBin:
    """Rows whose truth is about the same.

    Attributes:
        low: The smallest truth.
        high: The largest.
        num_rows: Rows.
        mean_error: Mean of answer less truth: whether answers are too high or too low here.
        mean_absolute_error: How far off they are.
    """

    low: float
    high: float
    num_rows: int
    mean_error: float
    mean_absolute_error: float


def can_be_drawn(rows: EvaluatedRows) -> bool:
    """Whether truth and answers lie close enough together for an axis of finite length."""
    with np.errstate(over="ignore"):
        ends = [
            float(function(values)) for values in (rows.targets, rows.scores) for function in (np.min, np.max)
        ]
        return bool(np.isfinite(4 * (np.max(ends) - np.min(ends))))


def joint_counts(rows: EvaluatedRows) -> JointCounts:
    """Count rows by truth and answer, over one range for both: right answers lie on the diagonal."""
    low = min(float(np.min(rows.targets)), float(np.min(rows.scores)))
    high = max(float(np.max(rows.targets)), float(np.max(rows.scores)))
    edges = np.linspace(*padded(low, high), _SIDE_BINS + 1)
    counts = np.zeros((_SIDE_BINS, _SIDE_BINS), dtype=np.int64)
    for part in row_slices(len(rows.targets), 1):
        found, _, _ = np.histogram2d(rows.targets[part], rows.scores[part], bins=(edges, edges))
        counts += found.astype(np.int64)
    return JointCounts(truth_edges=edges, answer_edges=edges, counts=counts)


def error_counts(rows: EvaluatedRows) -> ErrorCounts:
    """Count rows by error."""
    errors = np.subtract(rows.scores, rows.targets, dtype=np.float64)
    # Their order does not matter: no copy is needed to put them into another one.
    ends = np.quantile(errors, (_OUTER_SHARE, 1 - _OUTER_SHARE), overwrite_input=True)
    low, high = float(ends[0]), float(ends[1])
    # Over the same distance on both sides of 0, which stands in the middle of a bin.
    reach = padded(0.0, max(abs(low), abs(high)))[1]
    edges = np.linspace(-reach, reach, _ERROR_BINS + 1)
    beyond = np.count_nonzero(errors > reach) + np.count_nonzero(errors < -reach)
    np.clip(errors, -reach, reach, out=errors)
    counts, _ = np.histogram(errors, bins=edges)
    return ErrorCounts(edges=edges, counts=counts.astype(np.int64), num_beyond=int(beyond))


def errors_by_size(rows: EvaluatedRows) -> tuple[SizeBin, ...]:
    """Errors of up to ten parts of the rows, from the smallest truth to the largest, equal in number."""
    truth = np.asarray(rows.targets)
    num_bins = max(1, min(_SIZE_BINS, len(truth) // _ROWS_A_SIZE))
    inner = np.unique(np.quantile(truth, np.linspace(0, 1, num_bins + 1)[1:-1]))
    places = np.empty(len(truth), dtype=np.int8)
    for part in row_slices(len(truth), 1):
        places[part] = np.searchsorted(inner, truth[part], side="right")
    found = []
    for place in range(len(inner) + 1):
        chosen = np.flatnonzero(places == place)
        if len(chosen):
            found.append(_size_bin(truth[chosen], np.asarray(rows.scores[chosen])))
    return tuple(found)


def _size_bin(truth: NDArray[Any], answers: NDArray[Any]) -> SizeBin:
    return SizeBin(
        low=float(truth.min()),
        high=float(truth.max()),
        num_rows=len(truth),
        mean_error=float(np.mean(answers.astype(np.float64) - truth)),
        mean_absolute_error=float(mean_absolute_error(truth, answers)),
    )


def padded(low: float, high: float) -> tuple[float, float]:
    """A range that can be drawn: with a little room, and not empty."""
    span = high - low
    room = 0.02 * span if span > 1e-9 * max(abs(low), abs(high)) else max(0.5, 0.02 * abs(high))
    return low - room, high + room
