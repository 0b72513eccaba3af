"""One evaluation: all rows, each group of rows, what was cut or left out, and the baseline beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task, TaskKind
from bertblocks.errors import ConfigError, DataError, ShapeError
from bertblocks.evaluation.baseline import BaselineResult
from bertblocks.evaluation.calibration import calibration_figures
from bertblocks.evaluation.calibration_figures import CalibrationFigures
from bertblocks.evaluation.checks import check_predictions
from bertblocks.evaluation.evaluated_rows import EvaluatedRows, group_codes
from bertblocks.evaluation.intervals import Interval, group_interval, metric_intervals
from bertblocks.evaluation.metrics import Metrics, higher_is_better, metrics_of_checked, primary_metric
from bertblocks.evaluation.tokens import TokenCounts, TokenStatistics, token_statistics

RowsOfThem = Literal["same", "other"]
"""Whether something comes from the rows that are evaluated, or from other ones."""

# A column with more values than this (an id, a date) is no group: the report would be as long as the table.
MAX_GROUPS = 2_000


@dataclass(frozen=True, kw_only=True)
class GroupEvaluation:
    """The rows of one group.

    Attributes:
        name: What the group column holds; NO_GROUP where it is empty.
        metrics: The metrics of these rows alone; num_rows is their number.
        tokens: Their token counts, if there are any.
        interval: Of the primary metric; None where it was not computed, or is undefined.
    """

    name: str
    metrics: Metrics
    tokens: TokenStatistics | None
    interval: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "group": self.name,
            **_metrics_json(self.metrics),
            "interval": None if self.interval is None else self.interval.to_json(),
            "tokens": _tokens_json(self.tokens),
        }


@dataclass(frozen=True, kw_only=True)
class ThresholdFigures:
    """The thresholds of a multi-label task, and what they change.

    Attributes:
        by_label: From which probability on each label is given.
        rows: "same" where they were chosen on these very rows, so that the figures are somewhat too good;
            "other" where on those held out in training.
        num_rows: The rows that they were chosen on; None where these are others.
        at_half: The metrics of these rows where every label is given from 0.5 on.
    """

    by_label: Mapping[str, float]
    rows: RowsOfThem
    num_rows: int | None
    at_half: Metrics

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "by_label": dict(self.by_label),
            "rows": self.rows,
            "num_rows": self.num_rows,
            "metrics_at_half": dict(self.at_half.values),
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What metrics.json holds.

    Attributes:
        kind: The kind of task.
        overall: Metrics of all rows.
        tokens: Token counts of all rows, if there are any.
        group_by: The column that groups the rows, if one was given.
        groups: One entry a group, by name.
        skipped: Rows of the evaluated table that were left out, by reason; empty where the rows were held out
            of the training table, since only rows that can be used are.
        skipped_in_training: Rows of the training table that were left out, by reason; None where this is not
            the evaluation at the end of training.
        thresholds: Those of a multi-label task, where they were chosen.
        baseline: The cheap baseline's numbers, if there are any.
        baseline_rows: "same" where the baseline was measured on these rows, "other" where on those held out
            in training: then the two may be compared only roughly.
        intervals: Of the metrics of all rows, by name; empty where they were not computed.
        calibration: Of probabilities; None for numbers, and where it was not computed.
    """

    kind: TaskKind
    overall: Metrics
    tokens: TokenStatistics | None = None
    group_by: str | None = None
    groups: tuple[GroupEvaluation, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    skipped_in_training: Mapping[str, int] | None = None
    thresholds: ThresholdFigures | None = None
    baseline: BaselineResult | None = None
    baseline_rows: RowsOfThem = "same"
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    calibration: CalibrationFigures | None = None

    @property
    def primary(self) -> float | None:
        """The primary metric of all rows."""
        return self.overall[primary_metric(self.kind)]

    def worst_groups(self, metric: str | None = None) -> tuple[GroupEvaluation, ...]:
        """The groups by a metric, the worst first; those where it is undefined come last.

        Args:
            metric: Name of a metric; the primary one where None.

        Raises:
            ConfigError: If the task has no such metric.
        """
        name = metric or primary_metric(self.kind)
        if name not in self.overall.values:
            raise ConfigError(
                f"A {self.kind} task has no metric {name!r}; it has {', '.join(self.overall.values)}."
            )
        sign = 1 if higher_is_better(name) else -1

        def rank(group: GroupEvaluation) -> tuple[bool, float]:
            value = group.metrics[name]
            return value is None, 0.0 if value is None else sign * value

        return tuple(sorted(self.groups, key=rank))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, without NaN."""
        return {
            "task": self.kind,
            "primary_metric": primary_metric(self.kind),
            **_metrics_json(self.overall),
            "tokens": _tokens_json(self.tokens),
            "skipped": dict(self.skipped),
            "skipped_in_training": None
            if self.skipped_in_training is None
            else dict(self.skipped_in_training),
            "thresholds": None if self.thresholds is None else self.thresholds.to_json(),
            "group_by": self.group_by,
            "groups": [group.to_json() for group in self.groups],
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "baseline_rows": None if self.baseline is None else self.baseline_rows,
            "intervals": {name: interval.to_json() for name, interval in self.intervals.items()},
            "calibration": None if self.calibration is None else self.calibration.to_json(),
        }


def evaluate(
    task: Task,
    *,
    targets: NDArray[Any],
    scores: NDArray[Any],
    tokens: TokenCounts | None = None,
    group_by: str | None = None,
    groups: Sequence[str | None] | None = None,
    skipped: Mapping[Any, int] | None = None,
    skipped_in_training: Mapping[Any, int] | None = None,
    fitted_rows: RowsOfThem = "other",
    baseline: BaselineResult | None = None,
    baseline_rows: RowsOfThem = "same",
    with_intervals: bool = True,
) -> Evaluation:
    """Evaluate predictions as a whole and by group.

    Args:
        task: What was asked.
        targets: The truth, as compute_metrics takes it.
        scores: Probabilities or numbers, as compute_metrics takes them.
        tokens: What the tokenizer counted of these rows.
        group_by: Name of the column that groups holds.
        groups: To what each row belongs, such as its language.
        skipped: Rows of this table left out before, by reason.
        skipped_in_training: Rows of the training table left out, by reason, at the end of training.
        fitted_rows: Whether the task's temperature and thresholds were fitted on these rows.
        baseline: The cheap baseline's numbers.
        baseline_rows: Whether the baseline was measured on these rows.
        with_intervals: Whether to compute intervals too, which takes a second or more.

    Raises:
        ShapeError: If shapes or lengths differ.
        DataError: If values cannot be evaluated, or the group column has more than MAX_GROUPS values.
        ConfigError: If only one of group_by and groups is given.
    """
    if (group_by is None) != (groups is None):
        raise ConfigError(
            "group_by and groups belong together: give the column's name and its value for each row."
        )
    names: tuple[str, ...] = ()
    codes = None
    if group_by is not None and groups is not None:
        check_groups(group_by, set(groups))
        names, codes = group_codes(groups)
    rows = EvaluatedRows(
        targets=np.asarray(targets),
        scores=np.asarray(scores),
        tokens=tokens,
        group_codes=codes,
        group_names=names,
    )
    return evaluate_rows(
        task,
        rows,
        group_by=group_by,
        skipped=skipped,
        skipped_in_training=skipped_in_training,
        fitted_rows=fitted_rows,
        baseline=baseline,
        baseline_rows=baseline_rows,
        with_intervals=with_intervals,
    )


def evaluate_rows(
    task: Task,
    rows: EvaluatedRows,
    *,
    group_by: str | None = None,
    skipped: Mapping[Any, int] | None = None,
    skipped_in_training: Mapping[Any, int] | None = None,
    fitted_rows: RowsOfThem = "other",
    baseline: BaselineResult | None = None,
    baseline_rows: RowsOfThem = "same",
    with_intervals: bool = True,
) -> Evaluation:
    """Evaluate rows that are columns already; all else is as for evaluate, which tells what is raised."""
    targets, scores, tokens = rows.targets, rows.scores, rows.tokens
    check_predictions(task, targets, scores)
    if tokens is not None:
        tokens.check_rows(len(targets))
    if rows.group_codes is not None and len(rows.group_codes) != len(targets):
        raise ShapeError(
            f"Groups need one entry for each of {len(targets)} rows, but there are {len(rows.group_codes)}."
        )
    overall = metrics_of_checked(task, targets, scores)
    return Evaluation(
        kind=task.kind,
        overall=overall,
        tokens=None if tokens is None else token_statistics(tokens),
        group_by=group_by,
        groups=tuple(
            _evaluate_group(task, rows, name, places, with_interval=with_intervals)
            for name, places in rows.groups()
        ),
        skipped=dict(skipped or {}),
        skipped_in_training=None if skipped_in_training is None else dict(skipped_in_training),
        thresholds=_threshold_figures(task, targets, scores, fitted_rows),
        baseline=baseline,
        baseline_rows=baseline_rows,
        intervals=metric_intervals(task, targets, scores, overall) if with_intervals else {},
        calibration=calibration_figures(task, targets, scores, rows=fitted_rows),
    )


def check_groups(column: str, names: Collection[str | None]) -> None:
    """Refuse more groups than a report may have, as soon as so many have been read.

    Args:
        column: Name of the column that groups the rows.
        names: The different values that it has.

    Raises:
        DataError: If they are more than MAX_GROUPS.
    """
    if len(names) > MAX_GROUPS:
        raise DataError(
            f"The group column {column!r} has more than {MAX_GROUPS:,} different values: group by a column "
            "with few, such as a language."
        )


def _threshold_figures(
    task: Task, targets: NDArray[Any], scores: NDArray[Any], rows: RowsOfThem
) -> ThresholdFigures | None:
    if not task.thresholds:
        return None
    return ThresholdFigures(
        by_label=dict(zip(task.labels, task.thresholds, strict=True)),
        rows=rows,
        num_rows=len(targets) if rows == "same" else None,
        at_half=metrics_of_checked(replace(task, thresholds=()), targets, scores),
    )


def _evaluate_group(
    task: Task, rows: EvaluatedRows, name: str, places: NDArray[np.intp], *, with_interval: bool
) -> GroupEvaluation:
    targets, scores = rows.targets[places], rows.scores[places]
    metrics = metrics_of_checked(task, targets, scores)
    return GroupEvaluation(
        name=name,
        metrics=metrics,
        tokens=None if rows.tokens is None else token_statistics(rows.tokens.take(places)),
        interval=group_interval(task, targets, scores, metrics) if with_interval else None,
    )


def _metrics_json(metrics: Metrics) -> dict[str, Any]:
    data = metrics.to_json()
    return {"rows": data["num_rows"], "metrics": data["values"], "per_class": data["per_class"]}


def _tokens_json(tokens: TokenStatistics | None) -> dict[str, Any] | None:
    return None if tokens is None else tokens.to_json()
