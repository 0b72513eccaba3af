"""Predictions and truth become the numbers by which a model is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from bertblocks.blocks import Task, TaskKind
from bertblocks.errors import ConfigError, DataError
from bertblocks.evaluation.checks import check_predictions

_PRIMARY: Mapping[TaskKind, str] = {
    "classification": "accuracy",
    "binary": "accuracy",
    "multilabel": "micro_f1",
    "regression": "pearson",
}
_CLASSIFICATION = ("accuracy", "macro_f1", "weighted_f1", "log_loss")
_NAMES: Mapping[TaskKind, tuple[str, ...]] = {
    "classification": _CLASSIFICATION,
    "binary": (*_CLASSIFICATION, "precision", "recall", "f1", "roc_auc", "average_precision"),
    "multilabel": (
        *("micro_f1", "macro_f1", "macro_average_precision"),
        *("micro_precision", "micro_recall", "subset_accuracy", "log_loss"),
    ),
    "regression": ("pearson", "spearman", "mae", "rmse", "r2"),
}
_LOWER_IS_BETTER = frozenset({"loss", "log_loss", "mae", "rmse"})
# scikit-learn's log loss unfolds the targets to (rows, labels) in int64; slices of this many stay small.
_LOG_LOSS_CELLS = 1 << 17
# Numbers that lie closer together differ by rounding alone.
_RELATIVE_SPREAD = 16 * float(np.finfo(np.float64).eps)


def metric_names(kind: TaskKind) -> tuple[str, ...]:
    """What compute_metrics gives for a kind of task, the primary metric first."""
    return _NAMES[kind]


def selection_metrics(kind: TaskKind) -> tuple[str, ...]:
    """What early stopping may choose the best epoch by: "loss", or any metric of the kind of task."""
    return ("loss", *_NAMES[kind])


def selection_metric(kind: TaskKind) -> str:
    """What the best epoch is chosen by, unless somebody chooses another: the primary metric.

    Of several labels it is the macro average precision: F1 at 0.5 says little of an epoch whose thresholds
    are chosen after it, and is 0 as long as no probability reaches them.
    """
    return "macro_average_precision" if kind == "multilabel" else primary_metric(kind)


def primary_metric(kind: TaskKind) -> str:
    """The one number by which models for a kind of task are compared, unless somebody chooses another."""
    return _PRIMARY[kind]


def higher_is_better(name: str) -> bool:
    """Whether a larger value of a metric, or of "loss", is the better one.

    Raises:
        ConfigError: If no kind of task has a metric of this name.
    """
    known = {"loss", *(metric for names in _NAMES.values() for metric in names)}
    if name not in known:
        raise ConfigError(f"The metric {name!r} is unknown; choose one of {', '.join(sorted(known))}.")
    return name not in _LOWER_IS_BETTER


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """How well one label is found.

    Attributes:
        label: The label.
        precision: Share of the rows given this label that have it; None where no row was given it.
        recall: Share of the rows that have this label that were given it; None where no row has it.
        f1: Harmonic mean of both; None where no row has the label or was given it.
        support: Rows that have this label.
    """

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What compute_metrics found.

    Attributes:
        num_rows: Rows that the numbers are about.
        values: Metric by name, in the order in which they are best shown; None where undefined.
        per_class: One entry a label, in the task's order; empty for regression.
    """

    num_rows: int
    values: Mapping[str, float | None]
    per_class: tuple[ClassMetrics, ...] = ()

    def __getitem__(self, name: str) -> float | None:
        return self.values[name]

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types, without NaN, that from_json reads back."""
        return {
            "num_rows": self.num_rows,
            "values": dict(self.values),
            "per_class": [asdict(row) for row in self.per_class],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Metrics:
        """Read what to_json wrote.

        Raises:
            DataError: If a key is unknown or missing.
        """
        check_keys(cls, data)
        for row in data["per_class"]:
            check_keys(ClassMetrics, row)
        if not all(isinstance(value, int | float | None) for value in data["values"].values()):
            raise DataError(f"Stored metrics are numbers or null, found {data['values']!r:.200}.")
        per_class = tuple(ClassMetrics(**row) for row in data["per_class"])
        return cls(num_rows=data["num_rows"], values=dict(data["values"]), per_class=per_class)


def check_keys(dataclass_type: type, data: Mapping[str, Any]) -> None:
    """Refuse stored numbers that do not have exactly the keys of a dataclass.

    Raises:
        DataError: If a key is unknown or missing.
    """
    known = {field.name for field in fields(dataclass_type)}
    if not isinstance(data, Mapping):
        raise DataError(f"Stored {dataclass_type.__name__} are an object, found {data!r:.100}.")
    if set(data) != known:
        raise DataError(
            f"Stored {dataclass_type.__name__} have the keys {sorted(known)}; unknown: "
            f"{sorted(set(data) - known)}, missing: {sorted(known - set(data))}. They were written by "
            "another version of bertblocks, or changed by hand."
        )


def compute_metrics(task: Task, *, targets: NDArray[Any], scores: NDArray[Any]) -> Metrics:
    """Compute every metric of a task's kind.

    The answer of a classification is its most probable label; of a multi-label task every label that reaches
    the task's threshold. Macro F1 is the mean over the labels that occur in the truth or in the answers of
    these rows (scikit-learn's own default): a label that a small group does not have neither helps nor harms.
    Macro average precision is the mean over the labels that some of these rows have and others lack. What is
    undefined (the correlation of a constant, ROC AUC of one class) is None, without a warning.

    Args:
        task: What was asked.
        targets: The truth: positions of labels, integers, shape (rows,); multi-label 0 or 1, shape
            (rows, labels); regression numbers in the target's own unit, shape (rows,).
        scores: Probabilities, shape (rows, labels); regression numbers in the target's own unit, shape
            (rows,).

    Returns:
        The metrics that metric_names lists, and a row for each label.

    Raises:
        ShapeError: If the shapes are not those of the task.
        DataError: If there are no rows, or values that cannot be; all problems at once.
    """
    targets, scores = np.asarray(targets), np.asarray(scores)
    check_predictions(task, targets, scores)
    return metrics_of_checked(task, targets, scores)


def metrics_of_checked(task: Task, targets: NDArray[Any], scores: NDArray[Any]) -> Metrics:
    """Compute the metrics of rows that check_predictions has passed; groups of them need no second check."""
    if task.kind == "regression":
        return Metrics(num_rows=len(targets), values=_regression_values(targets, scores))
    if task.kind == "multilabel":
        return _multilabel_metrics(task, targets, scores)
    return _classification_metrics(task, targets, scores)


def _classification_metrics(task: Task, targets: NDArray[Any], scores: NDArray[Any]) -> Metrics:
    answers = scores.argmax(axis=1)
    per_class = _per_class(task, targets, answers, labels=np.arange(len(task.labels)))
    values: dict[str, float | None] = {
        "accuracy": float(sk.accuracy_score(targets, answers)),
        "macro_f1": _mean_f1(per_class),
        "weighted_f1": _weighted_f1(per_class),
        "log_loss": mean_log_loss(targets, scores),
    }
    if task.kind == "binary":
        positive = per_class[1]
        values.update(precision=positive.precision, recall=positive.recall, f1=positive.f1)
        both = 0 < positive.support < len(targets)
        values["roc_auc"] = float(sk.roc_auc_score(targets, scores[:, 1])) if both else None
        values["average_precision"] = (
            float(sk.average_precision_score(targets, scores[:, 1])) if both else None
        )
    return Metrics(num_rows=len(targets), values=values, per_class=per_class)


def _multilabel_metrics(task: Task, targets: NDArray[Any], scores: NDArray[Any]) -> Metrics:
    # The comparison of a prediction, in the scores' own precision: 0.3 in float64 is not 0.3 in float32.
    answers = (scores >= np.asarray(task.thresholds or 0.5, dtype=scores.dtype)).astype(np.int8)
    truth = targets.astype(np.int8)
    # scikit-learn takes one column for a yes-or-no question, not for one label of many.
    columns = (truth.ravel(), answers.ravel()) if truth.shape[1] == 1 else (truth, answers)
    labels = np.array([1]) if truth.shape[1] == 1 else np.arange(truth.shape[1])
    per_class = _per_class(task, *columns, labels=labels)
    micro = sk.precision_recall_fscore_support(*columns, labels=labels, average="micro", zero_division=np.nan)
    values = {
        "micro_f1": _or_none(micro[2]),
        "macro_f1": _mean_f1(per_class),
        "macro_average_precision": _macro_average_precision(truth, scores),
        "micro_precision": _or_none(micro[0]),
        "micro_recall": _or_none(micro[1]),
        "subset_accuracy": float((truth == answers).all(axis=1).mean()),
        "log_loss": mean_log_loss(truth.ravel(), np.ravel(scores)),
    }
    return Metrics(num_rows=len(targets), values=values, per_class=per_class)


def _macro_average_precision(truth: NDArray[np.int8], scores: NDArray[Any]) -> float | None:
    """The mean over the labels that some rows have and others lack; None where there is no such label."""
    having = truth.sum(axis=0, dtype=np.int64)
    told_apart = (having > 0) & (having < len(truth))
    if not told_apart.any():
        return None
    columns = (truth[:, told_apart], scores[:, told_apart])
    if np.count_nonzero(told_apart) == 1:
        # scikit-learn takes one column for a yes-or-no question, not for one label of many.
        columns = (columns[0].ravel(), columns[1].ravel())
    return float(sk.average_precision_score(*columns, average="macro"))


def _per_class(
    task: Task, truth: NDArray[Any], answers: NDArray[Any], labels: NDArray[Any]
) -> tuple[ClassMetrics, ...]:
    columns = sk.precision_recall_fscore_support(
        truth, answers, labels=labels, average=None, zero_division=np.nan
    )
    return tuple(
        ClassMetrics(
            label=label, precision=_or_none(p), recall=_or_none(r), f1=_or_none(f), support=int(support)
        )
        for label, p, r, f, support in zip(task.labels, *columns, strict=True)
    )


def _mean_f1(per_class: tuple[ClassMetrics, ...]) -> float | None:
    defined = [row.f1 for row in per_class if row.f1 is not None]
    return float(np.mean(defined)) if defined else None


def _weighted_f1(per_class: tuple[ClassMetrics, ...]) -> float:
    found = [row for row in per_class if row.support]
    return float(np.average([row.f1 or 0.0 for row in found], weights=[row.support for row in found]))


def mean_log_loss(targets: NDArray[Any], scores: NDArray[Any]) -> float:
    """Average log loss, in slices, and whether or not float32 probabilities add up to one exactly.

    Args:
        targets: Positions of labels, shape (rows,); or 0 and 1.
        scores: Probabilities, shape (rows, labels); or of 1 alone, shape (rows,).
    """
    num_labels = scores.shape[1] if scores.ndim == 2 else 2
    step = max(1, _LOG_LOSS_CELLS // num_labels)
    total = 0.0
    for start in range(0, len(targets), step):
        part = scores[start : start + step].astype(np.float64)
        if part.ndim == 2:
            part /= part.sum(axis=1, keepdims=True)
        truth = targets[start : start + step]
        total += float(sk.log_loss(truth, part, labels=np.arange(num_labels), normalize=False))
    return total / len(targets)


def _regression_values(targets: NDArray[Any], scores: NDArray[Any]) -> dict[str, float | None]:
    truth, answers = targets.astype(np.float64), scores.astype(np.float64)
    varied = _varies(truth)
    # Moved to a mean of 0, which changes no correlation: of numbers far from 0 SciPy doubts that they vary.
    centred = truth - truth.mean(), answers - answers.mean()
    correlated = varied and _varies(answers)
    return {
        "pearson": _or_none(stats.pearsonr(*centred).statistic) if correlated else None,
        "spearman": _or_none(stats.spearmanr(truth, answers).statistic) if correlated else None,
        "mae": float(sk.mean_absolute_error(truth, answers)),
        "rmse": float(sk.root_mean_squared_error(truth, answers)),
        "r2": float(sk.r2_score(truth, answers)) if varied else None,
    }


def _varies(values: NDArray[np.float64]) -> bool:
    return bool(np.ptp(values) > _RELATIVE_SPREAD * np.abs(values).max())


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
