"""Several models on the same rows: what each differs from the first by, as a whole and by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task, TaskKind
from bertblocks.errors import ConfigError
from bertblocks.evaluation.checks import check_predictions
from bertblocks.evaluation.metrics import Metrics, metrics_of_checked
from bertblocks.evaluation.paired import (
    COMPARED,
    Difference,
    PairedTest,
    RowFigures,
    group_difference,
    holm,
    metric_differences,
    paired_test,
    row_figures,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelScores:
    """What a model said of the rows that are compared.

    Attributes:
        task: What it was asked, labels in the order of the scores.
        scores: Probabilities (rows, labels), or numbers (rows,), as compute_metrics takes them.
    """

    task: Task
    scores: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class GroupComparison:
    """The rows of one group.

    Attributes:
        name: What the group column holds.
        num_rows: How many there are.
        first: The compared metric of the first model; None where it is undefined.
        other: The same of the other model.
        difference: The other's less the first's.
        test: Whether chance may do as much.
    """

    name: str
    num_rows: int
    first: float | None
    other: float | None
    difference: Difference
    test: PairedTest

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "group": self.name,
            "rows": self.num_rows,
            "first": self.first,
            "other": self.other,
            "difference": self.difference.to_json(),
            "test": self.test.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class ModelComparison:
    """One model against the first.

    Attributes:
        name: The model's.
        metrics: Its metrics of all rows.
        differences: What they are above the first model's, by name.
        test: Whether chance may do as much.
        groups: One entry a group, by name.
    """

    name: str
    metrics: Metrics
    differences: Mapping[str, Difference]
    test: PairedTest
    groups: tuple[GroupComparison, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, without NaN."""
        return {
            "model": self.name,
            "metrics": dict(self.metrics.values),
            "differences": {name: found.to_json() for name, found in self.differences.items()},
            "test": self.test.to_json(),
            "groups": [group.to_json() for group in self.groups],
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What compare.json holds.

    Attributes:
        kind: The kind of task.
        first: Name of the first model.
        metrics: Its metrics of all rows.
        others: Each of the other models against it.
        group_by: The column that groups the rows, if one was given.
        skipped: Rows that were left out for all models, by reason.
    """

    kind: TaskKind
    first: str
    metrics: Metrics
    others: tuple[ModelComparison, ...]
    group_by: str | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def compared_metric(self) -> str:
        """The metric that the tests, the groups and the sentences are about."""
        return COMPARED[self.kind]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, without NaN."""
        return {
            "task": self.kind,
            "compared_metric": self.compared_metric,
            "rows": self.metrics.num_rows,
            "skipped": dict(self.skipped),
            "group_by": self.group_by,
            "first": {"model": self.first, "metrics": dict(self.metrics.values)},
            "others": [other.to_json() for other in self.others],
        }


def compare(
    models: Mapping[str, ModelScores],
    targets: NDArray[Any],
    *,
    group_by: str | None = None,
    groups: Mapping[str, NDArray[np.intp]] | None = None,
    skipped: Mapping[Any, int] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare models by what they said of the same rows.

    Args:
        models: By name, the first one to compare with first; labels in one order, see `aligned`.
        targets: The truth, as compute_metrics takes it.
        group_by: Name of the column of the groups.
        groups: The places of each group's rows, by its name.
        skipped: Rows left out before, by reason.
        seed: Of the draws: the same seed gives the same intervals.

    Raises:
        ConfigError: If there are not two models, or they answer different questions.
        ShapeError: If shapes or lengths differ.
        DataError: If values cannot be compared.
    """
    check_same_question({name: model.task for name, model in models.items()})
    targets = np.asarray(targets)
    for model in models.values():
        check_predictions(model.task, targets, model.scores)
    tasks = [model.task for model in models.values()]
    scores = [model.scores for model in models.values()]
    metrics = [
        metrics_of_checked(task, targets, of_model) for task, of_model in zip(tasks, scores, strict=True)
    ]
    differences = metric_differences(tasks, targets, scores, metrics, seed=seed)
    figures = [row_figures(task, targets, of_model) for task, of_model in zip(tasks, scores, strict=True)]
    first, *names = models
    others = [
        ModelComparison(
            name=name,
            metrics=metrics[index],
            differences=differences[index - 1],
            test=paired_test(tasks[0].kind, figures[0].quality, figures[index].quality),
            groups=tuple(
                _compare_group(group, rows, tasks[0].kind, figures[0], figures[index], seed)
                for group, rows in sorted((groups or {}).items())
            ),
        )
        for index, name in enumerate(names, 1)
    ]
    return Comparison(
        kind=tasks[0].kind,
        first=first,
        metrics=metrics[0],
        others=_corrected(others),
        group_by=group_by,
        skipped=dict(skipped or {}),
    )


def _compare_group(
    name: str, rows: NDArray[np.intp], kind: TaskKind, first: RowFigures, other: RowFigures, seed: int
) -> GroupComparison:
    return GroupComparison(
        name=name,
        num_rows=len(rows),
        first=first.value(rows),
        other=other.value(rows),
        difference=group_difference(first, other, rows, seed=seed),
        test=paired_test(kind, first.quality[rows], other.quality[rows]),
    )


def _corrected(others: Sequence[ModelComparison]) -> tuple[ModelComparison, ...]:
    """Correct the tests of all models together, and those of all groups of all models together."""
    of_models = iter(holm([other.test.p_value for other in others]))
    of_groups = iter(holm([group.test.p_value for other in others for group in other.groups]))
    return tuple(
        replace(
            other,
            test=replace(other.test, p_holm=next(of_models)),
            groups=tuple(
                replace(group, test=replace(group.test, p_holm=next(of_groups))) for group in other.groups
            ),
        )
        for other in others
    )


def check_same_question(tasks: Mapping[str, Task]) -> None:
    """Refuse models that cannot be compared.

    Args:
        tasks: What each model was asked, by its name.

    Raises:
        ConfigError: If there are fewer than two, or kinds of task or labels differ; says in what.
    """
    if len(tasks) < 2:
        raise ConfigError("A comparison needs at least two models with different names; name another one.")
    (first, reference), *others = tasks.items()
    for name, task in others:
        if task.kind != reference.kind:
            raise ConfigError(
                f"The models answer different questions: {first} is a {reference.kind} model, {name} a "
                f"{task.kind} model. Compare models of one kind."
            )
        lacks, adds = set(reference.labels) - set(task.labels), set(task.labels) - set(reference.labels)
        if lacks or adds:
            problems = [
                *([f"{first} alone knows {_listed(lacks)}"] if lacks else []),
                *([f"{name} alone knows {_listed(adds)}"] if adds else []),
            ]
            raise ConfigError(
                f"The models answer different questions: of the labels, {'; '.join(problems)}. Compare "
                "models of the same labels."
            )


def _listed(labels: set[str]) -> str:
    shown = [repr(label if len(label) <= 40 else label[:40] + "...") for label in sorted(labels)[:10]]
    return ", ".join(shown) + (f" and {len(labels) - 10:,} more" if len(labels) > 10 else "")


def aligned(task: Task, scores: NDArray[Any], reference: Task) -> ModelScores:
    """Bring the labels of a model into another's order.

    Args:
        task: Of the model.
        scores: What it said, in its own order.
        reference: Has the same labels in the order that is wanted.
    """
    if task.labels == reference.labels:
        return ModelScores(task=task, scores=scores)
    order = [task.labels.index(label) for label in reference.labels]
    return ModelScores(
        task=replace(
            task,
            labels=reference.labels,
            thresholds=tuple(task.thresholds[place] for place in order) if task.thresholds else (),
            temperatures=tuple(task.temperatures[place] for place in order) if task.temperatures else (),
        ),
        scores=scores[:, order],
    )
