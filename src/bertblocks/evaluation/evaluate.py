"""One evaluation: all rows, each group of rows, what was cut or left out, and the baseline beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task, TaskKind
from bertblocks.errors import ConfigError, DataError, ShapeError
from bertblocks.evaluation.baseline import BaselineResult
from bertblocks.evaluation.checks import check_predictions
from bertblocks.evaluation.metrics import Metrics, higher_is_better, metrics_of_checked, primary_metric
from bertblocks.evaluation.tokens import TokenCounts, TokenStatistics, token_statistics

BaselineRows = Literal["same", "other"]

NO_GROUP = "(none)"
# A column with more values than this (an id, a date) is no group: the report would be as long as the table.
MAX_GROUPS = 2_000


@dataclass(frozen=True, kw_only=True)
class GroupEvaluation:
    """The rows of one group.

    Attributes:
        name: What the group column holds; NO_GROUP where it is empty.
        metrics: The metrics of these rows alone; num_rows is their number.
        tokens: Their token counts, if there are any.
    """

    name: str
    metrics: Metrics
    tokens: TokenStatistics | None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {"group": self.name, **_metrics_json(self.metrics), "tokens": _tokens_json(self.tokens)}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What metrics.json holds.

    Attributes:
        kind: The kind of task.
        overall: Metrics of all rows.
        tokens: Token counts of all rows, if there are any.
        group_by: The column that groups the rows, if one was given.
        groups: One entry a group, by name.
        skipped: Rows left out of the evaluation, by reason.
        baseline: The cheap baseline's numbers, if there are any.
        baseline_rows: "same" where the baseline was measured on these rows, "other" where on those held out
            in training: then the two may be compared only roughly.
    """

    kind: TaskKind
    overall: Metrics
    tokens: TokenStatistics | None = None
    group_by: str | None = None
    groups: tuple[GroupEvaluation, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    baseline: BaselineResult | None = None
    baseline_rows: BaselineRows = "same"

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
            "group_by": self.group_by,
            "groups": [group.to_json() for group in self.groups],
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "baseline_rows": None if self.baseline is None else self.baseline_rows,
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
    baseline: BaselineResult | None = None,
    baseline_rows: BaselineRows = "same",
) -> Evaluation:
    """Evaluate predictions as a whole and by group.

    Args:
        task: What was asked.
        targets: The truth, as compute_metrics takes it.
        scores: Probabilities or numbers, as compute_metrics takes them.
        tokens: What the tokenizer counted of these rows.
        group_by: Name of the column that groups holds.
        groups: To what each row belongs, such as its language.
        skipped: Rows left out before this, by reason.
        baseline: The cheap baseline's numbers.
        baseline_rows: Whether the baseline was measured on these rows.

    Raises:
        ShapeError: If shapes or lengths differ.
        DataError: If values cannot be evaluated, or the group column has more than MAX_GROUPS values.
        ConfigError: If only one of group_by and groups is given.
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_predictions(task, targets, scores)
    if (group_by is None) != (groups is None):
        raise ConfigError(
            "group_by and groups belong together: give the column's name and its value for each row."
        )
    if tokens is not None:
        tokens.check_rows(len(targets))
    return Evaluation(
        kind=task.kind,
        overall=metrics_of_checked(task, targets, scores),
        tokens=None if tokens is None else token_statistics(tokens),
        group_by=group_by,
        groups=() if groups is None else _evaluate_groups(task, targets, scores, tokens, groups),
        skipped={str(reason): count for reason, count in (skipped or {}).items()},
        baseline=baseline,
        baseline_rows=baseline_rows,
    )


def _evaluate_groups(
    task: Task,
    targets: NDArray[Any],
    scores: NDArray[Any],
    tokens: TokenCounts | None,
    groups: Sequence[str | None],
) -> tuple[GroupEvaluation, ...]:
    if len(groups) != len(targets):
        raise ShapeError(
            f"Groups need one entry for each of {len(targets)} rows, but there are {len(groups)}."
        )
    return tuple(
        GroupEvaluation(
            name=name,
            metrics=metrics_of_checked(task, targets[rows], scores[rows]),
            tokens=None if tokens is None else token_statistics(tokens.take(rows)),
        )
        for name, rows in sorted(_rows_by_group(groups).items())
    )


def _rows_by_group(groups: Sequence[str | None]) -> dict[str, NDArray[np.intp]]:
    """Where each group's rows are: one pass over the names and one sort, however many groups there are."""
    codes_by_name: dict[str, int] = {}
    codes = np.fromiter(
        (codes_by_name.setdefault(name or NO_GROUP, len(codes_by_name)) for name in groups),
        dtype=np.int32,
        count=len(groups),
    )
    if len(codes_by_name) > MAX_GROUPS:
        raise DataError(
            f"The group column has {len(codes_by_name):,} different values in {len(groups):,} rows, but at "
            f"most {MAX_GROUPS:,} groups are reported: group by a column with few values, such as a language."
        )
    order = np.argsort(codes, kind="stable")
    ends = np.bincount(codes, minlength=len(codes_by_name)).cumsum()
    return dict(zip(codes_by_name, np.split(order, ends[:-1]), strict=True))


def _metrics_json(metrics: Metrics) -> dict[str, Any]:
    data = metrics.to_json()
    return {"rows": data["num_rows"], "metrics": data["values"], "per_class": data["per_class"]}


def _tokens_json(tokens: TokenStatistics | None) -> dict[str, Any] | None:
    return None if tokens is None else tokens.to_json()
