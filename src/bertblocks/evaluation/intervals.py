"""How far a figure might be off for want of rows: 95 % intervals.

Shares of right rows have Wilson's interval, which is sound for few rows and for shares near 1, where a
bootstrap of rows that are all right finds no spread at all. Everything else has a percentile bootstrap (Efron
and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). Of many rows some thousand are drawn, and
what the figure varies by is scaled down to all of them (the m out of n bootstrap: Bickel, Götze and van Zwet
1997).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bertblocks.blocks import Task
from bertblocks.evaluation.metrics import Metrics, metrics_of_checked, primary_metric

_LEVEL = 0.95
_NUM_DRAWS = 200
_MOST_DRAWN = 5_000
# A figure that is undefined in more of the draws than this has no interval.
_MOST_UNDEFINED = 0.5
_SHARES = frozenset({"accuracy", "subset_accuracy"})
# A group is one of up to 2,000: fewer draws, of the primary metric alone.
_NUM_GROUP_DRAWS = 200


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a figure lies in 95 of 100 draws of as many rows.

    Attributes:
        low: The lower end.
        high: The upper end.
    """

    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self)


def metric_intervals(
    task: Task, targets: NDArray[Any], scores: NDArray[Any], metrics: Metrics, *, seed: int = 0
) -> dict[str, Interval]:
    """Give every metric of all rows its interval.

    Args:
        task: What was asked.
        targets: The truth, as compute_metrics takes it.
        scores: Probabilities or numbers, as compute_metrics takes them.
        metrics: What compute_metrics found.
        seed: Of the draws: the same seed gives the same intervals.

    Returns:
        Intervals by name; what is undefined, or has a single row, has none.
    """
    num_rows = len(targets)
    if num_rows < 2:
        return {}
    random = np.random.default_rng(seed)
    num_drawn = min(num_rows, _MOST_DRAWN)
    drawn: dict[str, list[float]] = {name: [] for name in metrics.values}
    for _ in range(_NUM_DRAWS):
        # In order, so that scores that lie in a file are read from its beginning to its end.
        rows = np.sort(random.integers(0, num_rows, num_drawn))
        for name, value in metrics_of_checked(task, targets[rows], scores[rows]).values.items():
            if value is not None:
                drawn[name].append(value)
    return dict(_intervals(metrics.values, drawn, num_rows, math.sqrt(num_drawn / num_rows)))


def _intervals(
    values: Mapping[str, float | None], drawn: Mapping[str, list[float]], num_rows: int, scale: float
) -> Iterable[tuple[str, Interval]]:
    for name, value in values.items():
        if value is None or len(drawn[name]) < (1 - _MOST_UNDEFINED) * _NUM_DRAWS:
            continue
        if name in _SHARES:
            yield name, _wilson(round(value * num_rows), num_rows)
        else:
            low, high = value + (_ends(drawn[name]) - value) * scale
            yield name, Interval(low=float(low), high=float(high))


def _ends(values: Any) -> NDArray[np.float64]:
    ends: NDArray[np.float64] = np.quantile(values, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2))
    return ends


def _wilson(num_right: int, num_rows: int) -> Interval:
    found = stats.binomtest(num_right, num_rows).proportion_ci(_LEVEL, method="wilson")
    return Interval(low=float(found.low), high=float(found.high))


def group_interval(
    task: Task, targets: NDArray[Any], scores: NDArray[Any], metrics: Metrics, *, seed: int = 0
) -> Interval | None:
    """Give the primary metric of one group its interval: a correlation's is Fisher's.

    Args:
        task: What was asked.
        targets: The truth of the group's rows.
        scores: Their probabilities or numbers.
        metrics: What compute_metrics found for them.
        seed: Of the draws, where there are any.

    Returns:
        The interval; None where the metric is undefined, or too few rows tell nothing.
    """
    value, num_rows = metrics[primary_metric(task.kind)], len(targets)
    if value is None:
        return None
    if task.kind == "multilabel":
        return _micro_f1_interval(task, targets, scores, seed)
    if task.kind == "regression":
        if num_rows < 4:
            return None
        found = stats.pearsonr(targets, scores).confidence_interval(_LEVEL)
        return Interval(low=float(found.low), high=float(found.high))
    return _wilson(round(value * num_rows), num_rows)


def _micro_f1_interval(task: Task, targets: NDArray[Any], scores: NDArray[Any], seed: int) -> Interval | None:
    if len(targets) < 2:
        return None
    answers = scores >= np.asarray(task.thresholds or 0.5, dtype=scores.dtype)
    truth = targets.astype(bool)
    counts = [(truth & answers).sum(axis=1), (truth ^ answers).sum(axis=1)]

    def micro_f1(right: NDArray[Any], wrong: NDArray[Any], axis: int = -1) -> NDArray[np.float64]:
        hits, misses = right.sum(axis=axis), wrong.sum(axis=axis)
        share: NDArray[np.float64] = np.divide(
            2 * hits, 2 * hits + misses, out=np.zeros(np.shape(hits)), where=hits + misses > 0
        )
        return share

    found = stats.bootstrap(
        counts,
        micro_f1,
        paired=True,
        vectorized=True,
        n_resamples=_NUM_GROUP_DRAWS,
        batch=max(1, _MOST_DRAWN * 10 // len(targets)),
        confidence_level=_LEVEL,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(low=float(found.low), high=float(found.high))
