"""Models on the same rows: intervals of what they differ by, and tests of whether chance may do as much.

The models are drawn together, row by row (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13): rows that are hard for both do not blur the difference. Of many rows some thousand are drawn, and
what the difference varies by is scaled down to all of them (Bickel, Götze and van Zwet 1997).

Axes: N rows, C labels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bertblocks.blocks import Task, TaskKind
from bertblocks.errors import ShapeError
from bertblocks.evaluation.drawn_metrics import drawn_metrics
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.metrics import Metrics, metric_names

Floats = NDArray[np.float64]
TestName = Literal["McNemar's exact test", "Wilcoxon's signed-rank test"]

_LEVEL = 0.95
_NUM_DRAWS = 1_000
# Groups may be two thousand.
_NUM_GROUP_DRAWS = 500
_MOST_DRAWN, _LEAST_DRAWN = 5_000, 1_000
# A draw has no more scores than these, as far as it has _LEAST_DRAWN rows: metrics take time for each label.
_DRAWN_CELLS = 250_000
# A difference that is undefined in more of the draws than this has no interval.
_MOST_UNDEFINED = 0.5
# Rows that are drawn at a time.
_BATCH_CELLS = 1 << 19

COMPARED: Mapping[TaskKind, str] = {
    "classification": "accuracy",
    "binary": "accuracy",
    "multilabel": "micro_f1",
    "regression": "mae",
}
"""The metric that sentences and groups are about: a sum over rows, which the tests look at too."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a figure of one model is above that of the first.

    Attributes:
        value: The other's less the first's; None where one of them is undefined.
        interval: Its 95 % interval; None where it is not known.
    """

    value: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {"value": self.value, "interval": None if self.interval is None else self.interval.to_json()}


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Whether two models that are equally good would differ as much.

    Attributes:
        name: The test.
        num_better: Rows that the other model answers better than the first.
        num_worse: Rows that it answers worse.
        p_value: Probability of a difference as large, two-sided.
        p_holm: The same, corrected by Holm for all tests that stand side by side.
    """

    name: TestName
    num_better: int
    num_worse: int
    p_value: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self)


def metric_differences(
    tasks: Sequence[Task],
    targets: NDArray[Any],
    scores: Sequence[NDArray[Any]],
    metrics: Sequence[Metrics],
    *,
    seed: int = 0,
) -> list[dict[str, Difference]]:
    """What every metric of the later models is above that of the first, with intervals.

    Args:
        tasks: Of each model, labels in one order.
        targets: The truth, as compute_metrics takes it.
        scores: Of each model, as compute_metrics takes them.
        metrics: Of each model, of all rows.
        seed: Of the draws: the same seed gives the same intervals.

    Returns:
        Differences by name, for each model but the first.
    """
    num_rows = len(targets)
    drawn = [
        _drawn_values(task, targets, of_model, seed) for task, of_model in zip(tasks, scores, strict=True)
    ]
    scale = math.sqrt(_num_drawn(tasks[0], num_rows) / num_rows)
    return [
        {
            name: _with_interval(_difference(metrics[0], other, name), values[name] - drawn[0][name], scale)
            for name in metrics[0].values
        }
        for other, values in zip(metrics[1:], drawn[1:], strict=True)
    ]


def _num_drawn(task: Task, num_rows: int) -> int:
    return min(num_rows, max(_LEAST_DRAWN, min(_MOST_DRAWN, _DRAWN_CELLS // task.num_outputs)))


def _drawn_values(task: Task, targets: NDArray[Any], scores: NDArray[Any], seed: int) -> dict[str, Floats]:
    """Every metric of each draw; the draws depend on the seed alone, and so are the same for all models."""
    if len(targets) < 2:
        return dict.fromkeys(metric_names(task.kind), np.empty(0))
    random = np.random.default_rng(seed)
    num_drawn = _num_drawn(task, len(targets))
    together = max(1, _BATCH_CELLS // num_drawn)
    parts = [
        drawn_metrics(task, targets, scores, random.integers(0, len(targets), (count, num_drawn)))
        for start in range(0, _NUM_DRAWS, together)
        if (count := min(together, _NUM_DRAWS - start))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _difference(first: Metrics, other: Metrics, name: str) -> float | None:
    one, two = first[name], other[name]
    return None if one is None or two is None else two - one


def _with_interval(value: float | None, drawn_R: Floats, scale: float) -> Difference:
    defined = drawn_R[np.isfinite(drawn_R)]
    if value is None or len(defined) < (1 - _MOST_UNDEFINED) * _NUM_DRAWS:
        return Difference(value=value, interval=None)
    low, high = value + (np.quantile(defined, ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2)) - value) * scale
    return Difference(value=value, interval=Interval(low=float(low), high=float(high)))


@dataclass(frozen=True, kw_only=True, eq=False)
class RowFigures:
    """How well a model answers each row.

    Attributes:
        quality: 1 for right and 0 for wrong; the F1 of a row's labels; minus the error of a number.
        numerator: The compared metric of some rows is the sum of these,
        denominator: divided by the sum of these.
    """

    quality: Floats
    numerator: Floats
    denominator: Floats

    def value(self, rows: NDArray[np.intp] | slice = slice(None)) -> float | None:
        """The compared metric of some rows; None where it is undefined."""
        whole = float(self.denominator[rows].sum())
        return float(self.numerator[rows].sum()) / whole if whole else None


def row_figures(task: Task, targets: NDArray[Any], scores: NDArray[Any]) -> RowFigures:
    """Judge every row by itself.

    Args:
        task: What was asked.
        targets: The truth, as compute_metrics takes it.
        scores: Probabilities or numbers, as compute_metrics takes them.
    """
    if task.kind == "multilabel":
        truth_NC = targets > 0
        given_NC = scores >= np.asarray(task.thresholds or 0.5, dtype=scores.dtype)
        hits = 2.0 * (truth_NC & given_NC).sum(axis=1)
        whole = truth_NC.sum(axis=1) + given_NC.sum(axis=1).astype(np.float64)
        # No label, and none given, is as right as can be.
        quality = np.divide(hits, whole, out=np.ones(len(targets)), where=whole > 0)
        return RowFigures(quality=quality, numerator=hits, denominator=whole)
    if task.kind == "regression":
        error = np.abs(np.asarray(scores, dtype=np.float64) - targets)
        return RowFigures(quality=-error, numerator=error, denominator=np.ones(len(error)))
    right = (scores.argmax(axis=1) == targets).astype(np.float64)
    return RowFigures(quality=right, numerator=right, denominator=np.ones(len(right)))


def group_difference(
    first: RowFigures, other: RowFigures, rows: NDArray[np.intp], *, seed: int = 0
) -> Difference:
    """What the compared metric of some rows differs by, with its interval.

    Args:
        first: Of the first model.
        other: Of the other.
        rows: Places of the rows.
        seed: Of the draws.
    """
    one, two = first.value(rows), other.value(rows)
    if one is None or two is None or len(rows) < 2:
        value = None if one is None or two is None else two - one
        return Difference(value=value, interval=None)
    columns = [column[rows] for model in (first, other) for column in (model.numerator, model.denominator)]
    found = stats.bootstrap(
        columns,
        _difference_of_ratios,
        paired=True,
        vectorized=True,
        n_resamples=_NUM_GROUP_DRAWS,
        batch=max(1, _BATCH_CELLS // len(rows)),
        confidence_level=_LEVEL,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return Difference(value=two - one, interval=Interval(low=float(found.low), high=float(found.high)))


def _difference_of_ratios(one: Floats, of_one: Floats, two: Floats, of_two: Floats, axis: int = -1) -> Floats:
    return np.asarray(_ratio(two, of_two, axis) - _ratio(one, of_one, axis))


def _ratio(numerator: Floats, denominator: Floats, axis: int) -> Floats:
    whole = denominator.sum(axis=axis)
    out: Floats = np.divide(numerator.sum(axis=axis), whole, out=np.zeros(np.shape(whole)), where=whole > 0)
    return out


def paired_test(kind: TaskKind, first: Floats, other: Floats) -> PairedTest:
    """Test whether two models answer the same rows equally well; not corrected for other tests.

    McNemar's exact test (1947) for answers that are right or wrong: among the rows that one model alone has
    right, each has half. Wilcoxon's signed-rank test (1945) for errors and for F1 of rows.

    Args:
        kind: Of the task.
        first: Quality of each row by the first model, shape (N,).
        other: The same by the other.

    Raises:
        ShapeError: If the models have different numbers of rows.
    """
    if first.shape != other.shape:
        raise ShapeError(f"A paired test needs the same rows, found {first.shape} and {other.shape}.")
    better, worse = int(np.count_nonzero(other > first)), int(np.count_nonzero(other < first))
    by_right_and_wrong = kind in ("classification", "binary")
    p_value = 1.0
    if better + worse and by_right_and_wrong:
        p_value = float(stats.binomtest(better, better + worse).pvalue)
    elif better + worse:
        with warnings.catch_warnings():
            # Of few rows: some versions of scipy doubt the normal distribution, which ties make necessary.
            warnings.simplefilter("ignore", UserWarning)
            p_value = float(stats.wilcoxon(other - first).pvalue)
    return PairedTest(
        name="McNemar's exact test" if by_right_and_wrong else "Wilcoxon's signed-rank test",
        num_better=better,
        num_worse=worse,
        p_value=p_value,
        p_holm=p_value,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values of tests that stand side by side (Holm 1979): one false alarm among all is rare."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return [float(value) for value in corrected]
