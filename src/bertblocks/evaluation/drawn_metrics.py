"""Metrics of many draws of rows at once, for intervals: what compute_metrics gives for each draw.

scikit-learn takes some 10 ms for a draw, mostly to look at its arguments: a thousand draws of several models
would be a minute. The tests hold every metric here to the one that scikit-learn gives.

Axes: R draws, M rows of a draw (with repeats), N rows, C labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bertblocks.blocks import Task

Floats = NDArray[np.float64]
_EPSILON = float(np.finfo(np.float64).eps)


def drawn_metrics(
    task: Task, targets: NDArray[Any], scores: NDArray[Any], rows_RM: NDArray[np.intp]
) -> dict[str, Floats]:
    """Compute every metric of each draw.

    Args:
        task: What was asked.
        targets: The truth of all rows, as compute_metrics takes it.
        scores: Of all rows, as compute_metrics takes them.
        rows_RM: The rows of each draw.

    Returns:
        Values by name, shape (R,), NaN where compute_metrics says None.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if task.kind == "regression":
            found = _of_numbers(targets[rows_RM], scores[rows_RM])
        elif task.kind == "multilabel":
            found = _of_labels(task, targets, scores, rows_RM)
        else:
            found = _of_classes(task, targets, scores, rows_RM)
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in found.items()}


def _of_classes(
    task: Task, targets_N: NDArray[Any], scores_NC: NDArray[Any], rows_RM: NDArray[np.intp]
) -> dict[str, Floats]:
    num_labels = len(task.labels)
    truth_RM, given_RM = targets_N[rows_RM].astype(np.intp), scores_NC.argmax(axis=1)[rows_RM]
    right_RM = truth_RM == given_RM
    hits_RC = _counts(truth_RM, num_labels, right_RM)
    truth_RC, given_RC = _counts(truth_RM, num_labels), _counts(given_RM, num_labels)
    f1_RC = 2 * hits_RC / (truth_RC + given_RC)
    found = {
        "accuracy": right_RM.mean(axis=1),
        "macro_f1": _mean_of_defined(f1_RC),
        "weighted_f1": np.where(truth_RC > 0, truth_RC * f1_RC, 0).sum(axis=1) / truth_RC.sum(axis=1),
        "log_loss": _class_loss(targets_N, scores_NC)[rows_RM].mean(axis=1),
    }
    if task.kind == "binary":
        found["precision"] = hits_RC[:, 1] / given_RC[:, 1]
        found["recall"] = hits_RC[:, 1] / truth_RC[:, 1]
        found["f1"] = f1_RC[:, 1]
        positive_RM, order_RM = truth_RM > 0, _order(scores_NC[:, 1])[rows_RM]
        found["roc_auc"] = _roc_auc(positive_RM, order_RM)
        found["average_precision"] = _average_precision(positive_RM, order_RM)
    return found


def _of_labels(
    task: Task, targets_NC: NDArray[Any], scores_NC: NDArray[Any], rows_RM: NDArray[np.intp]
) -> dict[str, Floats]:
    truth_NC = targets_NC > 0
    given_NC = scores_NC >= np.asarray(task.thresholds or 0.5, dtype=scores_NC.dtype)
    hits, truth, given, precision = np.zeros((4, len(rows_RM), len(task.labels)))
    for label in range(len(task.labels)):
        # Columns of their own: picked from a wide array, each value would be far from the next.
        truth_RM, given_RM = truth_NC[:, label].copy()[rows_RM], given_NC[:, label].copy()[rows_RM]
        hits[:, label] = (truth_RM & given_RM).sum(axis=1)
        truth[:, label], given[:, label] = truth_RM.sum(axis=1), given_RM.sum(axis=1)
        precision[:, label] = _average_precision(truth_RM, _order(scores_NC[:, label])[rows_RM])
    return {
        "micro_f1": 2 * hits.sum(axis=1) / (truth.sum(axis=1) + given.sum(axis=1)),
        "macro_f1": _mean_of_defined(2 * hits / (truth + given)),
        "macro_average_precision": _mean_of_defined(precision),
        "micro_precision": hits.sum(axis=1) / given.sum(axis=1),
        "micro_recall": hits.sum(axis=1) / truth.sum(axis=1),
        "subset_accuracy": (truth_NC == given_NC).all(axis=1)[rows_RM].mean(axis=1),
        "log_loss": _label_loss(truth_NC, scores_NC)[rows_RM].mean(axis=1),
    }


def _of_numbers(truth_RM: NDArray[Any], answers_RM: NDArray[Any]) -> dict[str, Floats]:
    truth_RM, answers_RM = truth_RM.astype(np.float64), answers_RM.astype(np.float64)
    error_RM = answers_RM - truth_RM
    squared_R = (error_RM**2).mean(axis=1)
    ranks = (stats.rankdata(values_RM, axis=1) for values_RM in (truth_RM, answers_RM))
    return {
        "pearson": _correlation(truth_RM, answers_RM),
        "spearman": _correlation(*ranks),
        "mae": np.abs(error_RM).mean(axis=1),
        "rmse": np.sqrt(squared_R),
        "r2": 1 - squared_R / truth_RM.var(axis=1),
    }


def _counts(values_RM: NDArray[np.intp], num_values: int, where: NDArray[np.bool_] | None = None) -> Floats:
    """How often each value is in each draw, shape (R, num_values)."""
    places_RM = values_RM + num_values * np.arange(len(values_RM))[:, None]
    chosen = places_RM.ravel() if where is None else places_RM[where]
    counts = np.bincount(chosen, minlength=num_values * len(values_RM))
    return counts.reshape(len(values_RM), num_values).astype(np.float64)


def _mean_of_defined(values_RC: Floats) -> Floats:
    """The mean over the labels for which there is a value; NaN where there is none."""
    defined_RC = ~np.isnan(values_RC)
    return np.asarray(np.where(defined_RC, values_RC, 0).sum(axis=1) / defined_RC.sum(axis=1))


def _class_loss(targets_N: NDArray[Any], scores_NC: NDArray[Any]) -> Floats:
    probabilities_NC = scores_NC.astype(np.float64)
    true_N = probabilities_NC[np.arange(len(targets_N)), targets_N] / probabilities_NC.sum(axis=1)
    return np.asarray(-np.log(true_N.clip(_EPSILON, 1 - _EPSILON)))


def _label_loss(truth_NC: NDArray[np.bool_], scores_NC: NDArray[Any]) -> Floats:
    yes_NC = scores_NC.astype(np.float64).clip(_EPSILON, 1 - _EPSILON)
    return np.asarray(-np.log(np.where(truth_NC, yes_NC, 1 - yes_NC)).mean(axis=1))


def _order(scores_N: NDArray[Any]) -> NDArray[np.int64]:
    """Places of the scores among all different ones, the lowest 0: compared faster than the scores."""
    return np.unique(scores_N, return_inverse=True)[1].astype(np.int64)


def _roc_auc(positive_RM: NDArray[np.bool_], order_RM: NDArray[np.int64]) -> Floats:
    """The share of pairs of a positive and a negative row that are in order, equals counting half."""
    num_positive_R = positive_RM.sum(axis=1)
    pairs_R = num_positive_R * (positive_RM.shape[1] - num_positive_R)
    ranks_R = np.where(positive_RM, stats.rankdata(order_RM, axis=1), 0).sum(axis=1)
    return np.asarray((ranks_R - num_positive_R * (num_positive_R + 1) / 2) / pairs_R)


def _average_precision(positive_RM: NDArray[np.bool_], order_RM: NDArray[np.int64]) -> Floats:
    """The mean of the precisions at the score of each positive row; NaN where all rows are alike."""
    # The highest scores first: a row's place from above, and whether it is positive in the last bit.
    sorted_RM = np.sort((order_RM.max() - order_RM) * 2 + positive_RM, axis=1)
    hits_RM = (sorted_RM & 1).cumsum(axis=1)
    # Rows of one score are judged together, at the last of them.
    is_last_RM = np.ones(sorted_RM.shape, dtype=bool)
    is_last_RM[:, :-1] = sorted_RM[:, 1:] >> 1 != sorted_RM[:, :-1] >> 1
    before_RM = np.zeros_like(hits_RM)
    before_RM[:, 1:] = np.maximum.accumulate(np.where(is_last_RM, hits_RM, 0), axis=1)[:, :-1]
    precision_RM = hits_RM / np.arange(1, hits_RM.shape[1] + 1)
    found_R = np.where(is_last_RM, precision_RM * (hits_RM - before_RM), 0).sum(axis=1) / hits_RM[:, -1]
    return np.where(hits_RM[:, -1] < hits_RM.shape[1], found_R, np.nan)


def _correlation(x_RM: Floats, y_RM: Floats) -> Floats:
    """Pearson's r; NaN where one of them is constant."""
    x_RM, y_RM = (values - values.mean(axis=1, keepdims=True) for values in (x_RM, y_RM))
    return np.asarray((x_RM * y_RM).sum(axis=1) / np.sqrt((x_RM**2).sum(axis=1) * (y_RM**2).sum(axis=1)))
