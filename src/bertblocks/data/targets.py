"""What is to be predicted: the task inferred from the target column, and targets as numbers."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from bertblocks._words import counted
from bertblocks.blocks.task import Task, TaskKind
from bertblocks.data.labels import (
    check_separator,
    label_list,
    label_of,
    number_of,
    numeric_label,
    sorted_labels,
    written_list,
    yes_no,
)
from bertblocks.data.target_column import TargetColumn, finite_number, regression_number, some
from bertblocks.data.values import shown
from bertblocks.errors import ConfigError, DataError

MOST_INTEGER_CLASSES = 20
MOST_CLASSES = 1000
# Of very many numbers a few always fall together in float32.
_DISTINCT_SHARE = 0.5

_LOG = logging.getLogger(__name__)


def infer_task(
    values: Iterable[Any],
    *,
    column: str,
    kind: TaskKind | None = None,
    label_separator: str | None = None,
    rows: Sequence[int] | None = None,
) -> Task:
    """Find out what a target column asks for.

    Lists, or texts split by a separator, are several labels; two values such as yes and no, or true and
    false, a yes-or-no question; integers of at most 20 values classes, and other numbers a regression; all
    other texts classes.

    Args:
        values: The raw targets.
        column: Name of the column, for messages.
        kind: Overrides what would be inferred.
        label_separator: What stands between the labels of a text; makes the task multi-label.
        rows: Row number of each value, for messages; from 1 by default.

    Returns:
        The task with its labels (numbers by size, others by code point, the positive one of two second), or
        with mean and standard deviation of the numbers.

    Raises:
        DataError: If a value is missing or does not fit, there is but one class, or hardly two rows share
            one.
        ConfigError: If the kind is unknown, or the separator has no effect on it.
    """
    if kind is not None and kind not in get_args(TaskKind):
        raise ConfigError(f"The task {kind!r} is unknown: it must be one of {', '.join(get_args(TaskKind))}.")
    if label_separator is not None and kind not in (None, "multilabel"):
        raise ConfigError(
            f"label_separator has no effect on a {kind} task: leave it out, or choose 'multilabel'."
        )
    check_separator(label_separator)
    targets = TargetColumn(column, values, rows)
    resolved = kind or _infer_kind(targets, label_separator)
    if resolved == "multilabel":
        return _multilabel(targets, label_separator, chosen=kind is not None)
    if resolved == "regression":
        return _regression(targets)
    return _classes(targets, resolved, chosen=kind is not None)


def _infer_kind(targets: TargetColumn, label_separator: str | None) -> TaskKind:
    values = targets.values
    if label_separator is not None or any(isinstance(value, (list, tuple)) for value in values):
        return "multilabel"
    if all(written_list(value) is not None for value in values):
        return "multilabel"
    numbers = [number_of(value) for value in values]
    distinct = {number for number in numbers if number is not None}
    many = len(distinct) > MOST_INTEGER_CLASSES or any(not number.is_integer() for number in distinct)
    if None not in numbers and many:
        return "regression"
    _refuse_almost_numbers(targets, numbers, many)
    labels = set(_class_labels(targets))
    return "binary" if len(labels) == 2 and yes_no(labels) else "classification"


def _refuse_almost_numbers(targets: TargetColumn, numbers: Sequence[float | None], many: bool) -> None:
    """Numbers with a few "n/a" among them would become a class for every number, in silence."""
    others = numbers.count(None)
    if many and 0 < others <= len(numbers) // 10:
        targets.fail_on(
            (
                f"{shown(value)} is no number, as most others are" if number is None else None
                for value, number in zip(targets.values, numbers, strict=True)
            ),
            "Mend or remove them for a regression; for classes, say --task classification.",
        )


def _class_labels(targets: TargetColumn) -> list[str]:
    """A label for each value; where all are numbers, 3, "3" and "3.0" are the same one."""
    numbers = [number_of(value) for value in targets.values]
    if None not in numbers:
        finite = targets.read(finite_number)
        return [numeric_label(number) for number in finite]
    return targets.read(label_of)


def _classes(targets: TargetColumn, kind: TaskKind, *, chosen: bool) -> Task:
    counts = Counter(_class_labels(targets))
    column, labels = targets.name, sorted_labels(counts)
    if len(labels) < 2:
        raise DataError(
            f"Column {column!r} has one class only, {labels[0]!r}: there is nothing to tell apart."
        )
    if kind == "binary" and len(labels) != 2:
        raise DataError(
            f"A binary task has two labels, but column {column!r} has {len(labels)}: {some(labels)}."
        )
    if not chosen:
        _refuse_too_many(column, labels, sum(counts.values()))
    _warn_of_doubtful(column, counts)
    if kind == "binary":
        labels = yes_no(labels) or labels
    return Task(kind=kind, labels=labels)


def _refuse_too_many(column: str, labels: Sequence[str], num_rows: int) -> None:
    singular = len(labels) > MOST_INTEGER_CLASSES and len(labels) > num_rows / 2
    if singular or len(labels) > MOST_CLASSES:
        raise DataError(
            f"Column {column!r} has {len(labels):,} different values in {num_rows:,} rows ({some(labels)}): "
            "too many for classes. Choose another target column; if these are numbers, write them as 3.5 for "
            "a regression; if they are classes, say --task classification."
        )


def _warn_of_doubtful(column: str, counts: Counter[str]) -> None:
    single = sorted(label for label, count in counts.items() if count == 1)
    if single:
        classes = counted(len(single), "class has a single row", "classes have a single row")
        _LOG.warning("Column %r: %s: %s.", column, classes, some(single))
    folded = Counter(label.casefold() for label in counts)
    alike = sorted(label for label in counts if folded[label.casefold()] > 1)
    if alike:
        _LOG.warning("Column %r: these classes differ by letter case alone: %s.", column, some(alike))


def _multilabel(targets: TargetColumn, label_separator: str | None, *, chosen: bool) -> Task:
    rows = targets.read(lambda value: label_list(value, label_separator))
    counts = Counter(label for labels in rows for label in labels)
    if not counts:
        raise DataError(f"Column {targets.name!r} holds no label in any row.")
    if len(counts) == 1 and counts.total() == len(rows):
        raise DataError(f"Column {targets.name!r} has one label only, {next(iter(counts))!r}, in every row.")
    if label_separator is not None and not any(
        isinstance(value, str) and label_separator in value for value in targets.values
    ):
        _LOG.warning("Column %r: no cell holds the label separator %r.", targets.name, label_separator)
    if len(counts) > MOST_CLASSES and not chosen:
        raise DataError(
            f"Column {targets.name!r} has {len(counts):,} different labels ({some(sorted(counts))}). If it "
            "is the right column and the right label separator, say --task multilabel."
        )
    _warn_of_doubtful(targets.name, counts)
    return Task(kind="multilabel", labels=sorted_labels(counts))


def _regression(targets: TargetColumn) -> Task:
    numbers = np.array(targets.read(regression_number), dtype=np.float64)
    if numbers.min() == numbers.max():
        raise DataError(
            f"Column {targets.name!r} is {numbers[0]:g} in every row: there is nothing to predict."
        )
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        mean, scale = float(numbers.mean()), float(numbers.std())
    if not (math.isfinite(mean) and 0 < scale < math.inf):
        raise DataError(
            f"Column {targets.name!r}: numbers from {numbers.min():g} to {numbers.max():g} cannot be scaled. "
            "Write them in another unit."
        )
    _warn_of_outliers(targets.name, numbers, mean, scale)
    return Task(kind="regression", target_mean=mean, target_scale=scale)


def _warn_of_outliers(column: str, numbers: NDArray[np.float64], mean: float, scale: float) -> None:
    """A network computes in float32, where one number far from all others leaves these no difference."""
    scaled = (numbers - mean) / scale
    before, after = len(np.unique(numbers)), len(np.unique(scaled.astype(np.float32)))
    if after < before * _DISTINCT_SHARE:
        far = np.abs(scaled).argmax()
        _LOG.warning(
            "Column %r: of %s different numbers the network can tell only %s apart, since %.6g lies far from "
            "the others (%.3g deviations from the mean). Leave such rows out, or predict the numbers' "
            "logarithm.",
            column,
            f"{before:,}",
            f"{after:,}",
            numbers[far],
            abs(scaled[far]),
        )
