"""Metrics of many resamples of rows at once, in points: what a difference between two models is worth.

A resample is how often each row is drawn. Two models that are judged by the same draws are compared row by
row, and rows that are translations of each other can be drawn together. The first "resample" is the rows as
they are, so the first value of every metric is the metric itself.

Axes: R resamples and the rows as they are, T rows, C classes, U distinct numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 1000
POINTS = 100.0
_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and its 95 % interval over the resamples."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values_R: Floats) -> Estimate:
        """From a value of every resample, that of the rows as they are first."""
        low, high = np.percentile(values_R[1:], _PERCENTILES)
        return cls(value=float(values_R[0]), low=float(low), high=float(high))

    def to_json(self) -> list[float]:
        """Value, lower and upper end, to a thousandth of a point."""
        return [round(number, 3) for number in (self.value, self.low, self.high)]


def draws(num_rows: int, *, seed: int, resamples: int = RESAMPLES) -> Floats:
    """How often each row is drawn, shape (R, T); the first row of it is 1 everywhere."""
    drawn = np.random.default_rng(seed).multinomial(num_rows, np.full(num_rows, 1 / num_rows), size=resamples)
    return np.concatenate([np.ones((1, num_rows)), drawn])


def class_counts(
    targets_T: NDArray[Any], answers_T: NDArray[Any], num_classes: int, draws_RT: Floats
) -> Floats:
    """Right answers, rows that have a class, and rows that were given it, shape (R, 3, C).

    Counts of several groups of rows may be added.
    """
    classes = np.arange(num_classes)
    truth_TC = targets_T[:, None] == classes
    given_TC = answers_T[:, None] == classes
    columns = np.concatenate([truth_TC & given_TC, truth_TC, given_TC], axis=1).astype(np.float64)
    return (draws_RT @ columns).reshape(len(draws_RT), 3, num_classes)


def accuracy(counts_R3C: Floats) -> Floats:
    """Share of right answers in points, shape (R,)."""
    right_RC, truth_RC, _ = counts_R3C.transpose(1, 0, 2)
    return POINTS * right_RC.sum(axis=1) / truth_RC.sum(axis=1)


def macro_f1(counts_R3C: Floats) -> Floats:
    """F1 in points, averaged over the classes that occur in the truth or the answers, shape (R,)."""
    right_RC, truth_RC, given_RC = counts_R3C.transpose(1, 0, 2)
    either_RC = truth_RC + given_RC
    f1_RC = 2 * right_RC / np.maximum(either_RC, 1)
    return POINTS * f1_RC.sum(axis=1) / (either_RC > 0).sum(axis=1)


def pearson(targets_T: Floats, answers_T: Floats, draws_RT: Floats) -> Floats:
    """Pearson's r in points, shape (R,)."""
    # One mean and deviation for all draws changes no correlation, and keeps the sums of squares exact.
    x, y = (_standardized(values) for values in (targets_T, answers_T))
    sums = draws_RT @ np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    n, sum_x, sum_y, sum_xx, sum_yy, sum_xy = sums.T
    spread = (n * sum_xx - sum_x**2) * (n * sum_yy - sum_y**2)
    return POINTS * (n * sum_xy - sum_x * sum_y) / np.sqrt(spread)


def spearman(targets_T: Floats, answers_T: Floats, draws_RT: Floats) -> Floats:
    """Spearman's r in points, ranks taken anew in each resample, shape (R,)."""
    x_RT, y_RT = (_ranks(values, draws_RT) for values in (targets_T, answers_T))
    x_RT -= _mean(x_RT, draws_RT)
    y_RT -= _mean(y_RT, draws_RT)
    covariance, spread_x, spread_y = (
        (draws_RT * product_RT).sum(axis=1) for product_RT in (x_RT * y_RT, x_RT**2, y_RT**2)
    )
    return POINTS * covariance / np.sqrt(spread_x * spread_y)


def _standardized(values_T: Floats) -> Floats:
    return (values_T - values_T.mean()) / values_T.std()


def _mean(values_RT: Floats, draws_RT: Floats) -> Floats:
    return ((draws_RT * values_RT).sum(axis=1) / draws_RT.sum(axis=1))[:, None]


def _ranks(values_T: Floats, draws_RT: Floats) -> Floats:
    """Each row's rank among the drawn ones; equal numbers share the average of theirs, shape (R, T)."""
    order = np.argsort(values_T, kind="stable")
    numbers_U, starts_U = np.unique(values_T[order], return_index=True)
    drawn_RU = np.add.reduceat(draws_RT[:, order], starts_U, axis=1)
    ranks_RU = np.cumsum(drawn_RU, axis=1) - (drawn_RU - 1) / 2
    return ranks_RU[:, np.searchsorted(numbers_U, values_T)]
