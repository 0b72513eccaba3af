"""Rows divided into training and validation: seeded, and with every class in the same share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks._words import counted
from bertblocks.blocks.task import Task
from bertblocks.errors import ConfigError, DataError


def train_validation_split(
    targets: NDArray[Any], task: Task, *, fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide rows, the same for the same seed.

    Classes keep their shares on both sides where there are rows enough for it; a class with a single row
    goes to training, and every class and label has at least one row there. Of several labels, rows are
    divided by the rarest label that each has.

    Args:
        targets: As encode_targets gives them, shape (N,) or (N, C).
        task: What is predicted.
        fraction: Share of the rows for validation, above 0 and below 1; at least one row.
        seed: Of the shuffling.

    Returns:
        Row indices for training and for validation, ascending.

    Raises:
        ConfigError: If fraction is not between 0 and 1.
        DataError: If so few rows cannot be divided.
    """
    if not 0 < fraction < 1:
        raise ConfigError(
            f"The share for validation is {fraction}, but must be above 0 and below 1, such as 0.1."
        )
    num_validation = max(1, round(fraction * len(targets)))
    validation = None
    if task.kind in ("classification", "binary"):
        validation = _stratified(targets, num_validation, seed)
    elif task.kind == "multilabel":
        validation = _stratified(_rarest_labels(targets), num_validation, seed)
        if validation is not None and not _has_every_label(np.delete(targets, validation, axis=0), targets):
            validation = None
    if validation is None:
        validation = _shuffled(targets, task, num_validation, seed)
    training = np.setdiff1d(np.arange(len(targets)), validation)
    return training.astype(np.int64), np.sort(validation).astype(np.int64)


def _stratified(targets: NDArray[Any], num_validation: int, seed: int) -> NDArray[np.int64] | None:
    """Validation rows with the classes' shares; None where there are too few rows for that."""
    # Imported where it is needed: scikit-learn takes a second.
    from sklearn.model_selection import train_test_split

    _, inverse, counts = np.unique(targets, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts[inverse] > 1)
    num_stratified = int((counts > 1).sum())
    if not num_stratified <= num_validation <= len(several) - num_stratified or not num_stratified:
        return None
    training, validation = train_test_split(
        several, test_size=num_validation, random_state=seed, stratify=targets[several]
    )
    # With a large share for validation the rounding can leave a small class without a training row.
    kept = len(np.unique(targets[training])) == num_stratified
    return np.asarray(validation, dtype=np.int64) if kept else None


def _rarest_labels(targets_NC: NDArray[Any]) -> NDArray[np.int64]:
    """Of each row the label that the fewest rows have, shape (N,); C for rows without one."""
    counts = np.where(targets_NC > 0, (targets_NC > 0).sum(axis=0), len(targets_NC) + 1)
    rarest: NDArray[np.int64] = counts.argmin(axis=1)
    rarest[~(targets_NC > 0).any(axis=1)] = targets_NC.shape[1]
    return rarest


def _has_every_label(kept_NC: NDArray[Any], all_NC: NDArray[Any]) -> bool:
    """Whether every label that occurs is among the rows that are kept."""
    return bool(((kept_NC > 0).any(axis=0) == (all_NC > 0).any(axis=0)).all())


def _shuffled(targets: NDArray[Any], task: Task, num_validation: int, seed: int) -> NDArray[np.int64]:
    order = np.random.default_rng(seed).permutation(len(targets))
    free = order[~np.isin(order, _needed_in_training(targets, task, order))]
    if len(targets) < 2 or not len(free):
        raise DataError(
            f"{counted(len(targets), 'row is', 'rows are')} too few to divide into training and "
            "validation: every class must keep a row for training, and validation needs one besides. Give "
            "more rows or a validation table."
        )
    # One row must always be left to train on; a regression needs none in particular.
    validation: NDArray[np.int64] = free[: min(num_validation, len(targets) - 1)]
    return validation


def _needed_in_training(targets: NDArray[Any], task: Task, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first row, in the shuffled order, of every class or label."""
    if task.kind == "regression":
        return order[:0]
    if task.kind == "multilabel":
        shuffled = targets[order] > 0
        first = shuffled.argmax(axis=0)[shuffled.any(axis=0)]
    else:
        _, first = np.unique(targets[order], return_index=True)
    needed: NDArray[np.int64] = order[first]
    return needed
