"""Probabilities that mean what they say: temperatures fitted to rows with the truth, and what is still amiss.

Logits are divided by a temperature, the one with the least log loss (Guo et al., On Calibration of Modern
Neural Networks, ICML 2017). Which label is the most probable, and which are above 0.5, it does not change.

Axes: N rows, C labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from bertblocks.blocks import Task
from bertblocks.errors import DataError, ShapeError
from bertblocks.evaluation.calibration_figures import CalibrationFigures, ReliabilityBin
from bertblocks.evaluation.thresholds import MIN_ROWS_EACH, tunable_labels

Floats = NDArray[np.float64]

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
# Of fewer rows, right and wrong ones together, one temperature is chance too.
MIN_ROWS = 2 * MIN_ROWS_EACH
# One number needs no more logits than these, and float64 copies of them stay small.
_MAX_CELLS = 1 << 22
# What is gained must be more than rounding: constant logits have the same loss at every temperature.
_LEAST_GAIN = 1e-6
_DIGITS = 4

NUM_BINS = 15
# Scores that are looked at together: few megabytes in float64, however many rows there are.
_CHUNK_CELLS = 1 << 17


def calibrate(task: Task, *, targets: NDArray[Any], logits: NDArray[Any]) -> Task:
    """Give a task the temperatures that these rows ask for.

    Each is the one with the least log loss, as if there were one row more that has every label with the same
    probability (as Platt 1999 did with targets): some rows that are all right do not ask for a certainty that
    so few cannot show. What cannot be told stays at 1: where there are fewer than MIN_ROWS rows or one class
    alone, or no temperature has a lower log loss.

    Args:
        task: What was asked; temperatures that it has already do not matter.
        targets: The truth of rows that were not trained on: positions of labels (N,), or 0 and 1 (N, C).
        logits: What the model gave for them, shape (N, C).

    Returns:
        Classes get one temperature. Several labels get one each where tunable_labels has enough rows of them;
        the others share that of all labels together. A regression comes back as it is.

    Raises:
        ShapeError: If shapes are not those of the task, or not each other's.
        DataError: If logits are not finite.
    """
    if task.kind == "regression":
        return task
    _check(task, targets, logits)
    plain = replace(task, temperature=1.0, temperatures=())
    if len(targets) < MIN_ROWS:
        return plain
    if task.kind != "multilabel":
        return replace(plain, temperature=_class_temperature(targets, logits))
    temperatures = _label_temperatures(targets > 0, logits)
    if len(set(temperatures)) == 1:
        return replace(plain, temperature=temperatures[0])
    return replace(plain, temperatures=temperatures)


def _check(task: Task, targets: NDArray[Any], logits: NDArray[Any]) -> None:
    wide = (len(targets), task.num_outputs)
    expected = wide if task.kind == "multilabel" else wide[:1]
    if targets.shape != expected or logits.shape != wide:
        raise ShapeError(
            f"Calibration needs targets of shape {expected} and logits of shape {wide}, found "
            f"{targets.shape} and {logits.shape}."
        )
    if not np.isfinite(logits).all():
        raise DataError("Probabilities cannot be calibrated: some of the logits are not finite numbers.")


def _class_temperature(targets_N: NDArray[Any], logits_NC: NDArray[Any]) -> float:
    if (targets_N == targets_N[0]).all():
        return 1.0
    every = math.ceil(logits_NC.size / _MAX_CELLS)
    x_NC, rows = logits_NC[::every].astype(np.float64), targets_N[::every]
    return _temperature(
        lambda temperature: float(special.logsumexp(x_NC / temperature, axis=1).mean()),
        of_truth=float(x_NC[np.arange(len(x_NC)), rows].mean()),
        of_all=float(x_NC.mean()),
        num_rows=len(x_NC),
    )


def _label_temperatures(has_label_NC: NDArray[np.bool_], logits_NC: NDArray[Any]) -> tuple[float, ...]:
    shared = _yes_or_no_temperature(has_label_NC.ravel(), logits_NC.ravel())
    return tuple(
        _yes_or_no_temperature(has_label_NC[:, label], logits_NC[:, label]) if tunable else shared
        for label, tunable in enumerate(tunable_labels(has_label_NC))
    )


def _yes_or_no_temperature(is_true_N: NDArray[np.bool_], logits_N: NDArray[Any]) -> float:
    if is_true_N.all() or not is_true_N.any():
        return 1.0
    every = math.ceil(len(logits_N) / _MAX_CELLS)
    x_N, true_N = logits_N[::every].astype(np.float64), is_true_N[::every]
    # The sigmoid of x is the softmax of x and 0.
    return _temperature(
        lambda temperature: float(np.logaddexp(0.0, x_N / temperature).mean()),
        of_truth=float((x_N * true_N).mean()),
        of_all=float(x_N.mean()) / 2,
        num_rows=len(x_N),
    )


def _temperature(
    normalizer: Callable[[float], float], *, of_truth: float, of_all: float, num_rows: int
) -> float:
    """The temperature with the least log loss, which is normalizer(temperature) - of_truth / temperature.

    It has one minimum: as a function of 1 / temperature it is convex.

    Args:
        normalizer: Mean logarithm of the sum of the exponentials of a row's logits, by temperature.
        of_truth: Mean logit of the true label.
        of_all: Mean of all logits.
        num_rows: Rows that these are means of.
    """
    smoothed = (num_rows * of_truth + of_all) / (num_rows + 1)

    def loss(temperature: float, wanted: float) -> float:
        return normalizer(temperature) - wanted / temperature

    found = optimize.minimize_scalar(
        lambda x: loss(math.exp(x), smoothed),
        bounds=(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    temperature = round(math.exp(found.x), _DIGITS)
    return temperature if loss(temperature, of_truth) < loss(1.0, of_truth) - _LEAST_GAIN else 1.0


def calibration_figures(
    task: Task, targets: NDArray[Any], scores: NDArray[Any], *, rows: Literal["same", "other"] = "other"
) -> CalibrationFigures | None:
    """Compare stated probabilities with observed shares, with the task's temperatures and without them.

    The expected calibration error is that of Naeini et al. (AAAI 2015): rows in NUM_BINS bins of equal width
    by the probability of their answer, and the mean distance between this probability and the share of right
    answers. Of several labels every pair of row and label counts, by the probability of the label.

    Args:
        task: What was asked; its temperatures are in the scores.
        targets: The truth, as compute_metrics takes it.
        scores: Probabilities that check_predictions has passed, shape (N, C); they may lie in a file.
        rows: Whether the temperatures were fitted to these very rows.

    Returns:
        The figures; None for numbers, which have no probabilities, and where there are no rows. Uncalibrated
        probabilities are computed from the calibrated ones, as exactly as float32 keeps these.
    """
    if task.kind == "regression" or not len(targets):
        return None
    before, after = _Curve(), _Curve()
    step = max(1, _CHUNK_CELLS // task.num_outputs)
    for start in range(0, len(targets), step):
        part = np.asarray(scores[start : start + step], dtype=np.float64)
        truth = targets[start : start + step]
        for curve, scores_NC in ((before, uncalibrated(task, part)), (after, part)):
            if task.kind == "multilabel":
                curve.add(scores_NC.ravel(), np.ravel(truth) > 0)
            else:
                curve.add(scores_NC.max(axis=1), scores_NC.argmax(axis=1) == truth)
    return CalibrationFigures(
        error_before=before.error,
        error_after=after.error,
        before=before.bins,
        after=after.bins,
        rows=rows,
    )


def uncalibrated(task: Task, scores_NC: Floats) -> Floats:
    """Undo a task's temperatures: the probabilities that its logits had at a temperature of 1."""
    temperature = np.asarray(task.temperatures or task.temperature)
    if (temperature == 1).all():
        return scores_NC
    if task.activation == "softmax":
        # Divided first: a power of small numbers alone might be 0 for all of a row's labels.
        powers_NC = (scores_NC / scores_NC.max(axis=1, keepdims=True)) ** temperature
        return np.asarray(powers_NC / powers_NC.sum(axis=1, keepdims=True))
    # A probability of 0 has infinite odds against it, and gets 0 back.
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1 / (1 + ((1 - scores_NC) / scores_NC) ** temperature))


class _Curve:
    """A reliability curve whose rows come part by part."""

    def __init__(self) -> None:
        self._num_rows, self._confidence, self._right = np.zeros((3, NUM_BINS))

    def add(self, confidence_N: Floats, right_N: NDArray[np.bool_]) -> None:
        """Count rows: their stated probability, and whether they were right."""
        # A bin has its upper end, as the source has it, and the first one 0 as well.
        bins_N = np.ceil(confidence_N * NUM_BINS).astype(np.intp).clip(1, NUM_BINS) - 1
        self._num_rows += np.bincount(bins_N, minlength=NUM_BINS)
        self._confidence += np.bincount(bins_N, weights=confidence_N, minlength=NUM_BINS)
        self._right += np.bincount(bins_N, weights=right_N, minlength=NUM_BINS)

    @property
    def error(self) -> float:
        """The expected calibration error."""
        return float(np.abs(self._right - self._confidence).sum() / self._num_rows.sum())

    @property
    def bins(self) -> tuple[ReliabilityBin, ...]:
        """The bins that have rows."""
        return tuple(
            ReliabilityBin(
                num_rows=int(count), confidence=float(confidence / count), accuracy=float(right / count)
            )
            for count, confidence, right in zip(self._num_rows, self._confidence, self._right, strict=True)
            if count
        )
