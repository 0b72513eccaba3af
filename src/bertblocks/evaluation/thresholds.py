"""From which probability on a label is given: one threshold a label, chosen on rows with the truth.

Axes: N rows, C labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.errors import ShapeError

UNTUNED_THRESHOLD = 0.5
# Of fewer rows with the label, or without it, the best threshold is chance. On simulated scores (signals
# from weak to strong, labels of 5 to 50 % of the rows) thresholds chosen on 10 rows with the label raised F1
# on other rows from 0.38 to 0.44, on 20 rows to 0.50; thresholds drawn towards 0.5 raised it less.
MIN_ROWS_EACH = 10


def tunable_labels(targets_NC: NDArray[Any]) -> NDArray[np.bool_]:
    """Which labels have MIN_ROWS_EACH rows with them and as many without, shape (C,)."""
    having = (targets_NC > 0).sum(axis=0)
    found: NDArray[np.bool_] = (having >= MIN_ROWS_EACH) & (len(targets_NC) - having >= MIN_ROWS_EACH)
    return found


def tune_thresholds(targets_NC: NDArray[Any], scores_NC: NDArray[Any]) -> tuple[float, ...]:
    """Choose for each label the threshold with the best F1 on these rows.

    Between thresholds of equal F1 the one nearest to 0.5 is taken, and the lower one of two. Where it is
    free, a threshold lies halfway between two neighbouring probabilities.

    Args:
        targets_NC: The truth, 0 or 1.
        scores_NC: Probabilities; a label is given where its probability reaches its threshold.

    Returns:
        C thresholds, in the scores' precision; UNTUNED_THRESHOLD for labels that are not tunable.

    Raises:
        ShapeError: If targets and scores differ in shape.
    """
    if targets_NC.shape != scores_NC.shape or targets_NC.ndim != 2:
        raise ShapeError(
            f"Thresholds need targets and scores of one shape (rows, labels), found {targets_NC.shape} and "
            f"{scores_NC.shape}."
        )
    return tuple(
        _best_threshold(targets_NC[:, label] > 0, scores_NC[:, label]) if tunable else UNTUNED_THRESHOLD
        for label, tunable in enumerate(tunable_labels(targets_NC))
    )


def _best_threshold(has_label_N: NDArray[np.bool_], scores_N: NDArray[Any]) -> float:
    values, position = np.unique(scores_N, return_inverse=True)
    # For each value, the rows that reach it, and those of them that have the label.
    given = np.bincount(position)[::-1].cumsum()[::-1]
    hits = np.bincount(position, weights=has_label_N)[::-1].cumsum()[::-1]
    # Quotients of whole numbers: equal F1 compares equal.
    f1 = 2 * hits / (given + has_label_N.sum())
    thresholds = _thresholds_below(values)[f1 == f1.max()]
    return float(thresholds[np.abs(thresholds - UNTUNED_THRESHOLD).argmin()])


def _thresholds_below(values: NDArray[Any]) -> NDArray[Any]:
    """For each of the ascending values, a threshold that it reaches and the one before it does not."""
    before = np.concatenate([np.zeros(1, dtype=values.dtype), values[:-1]])
    halfway = (before + values) / 2
    # Between neighbours in floating point there is no number halfway.
    thresholds = np.where(halfway > before, halfway, values)
    free_to_stay = (before < UNTUNED_THRESHOLD) & (values >= UNTUNED_THRESHOLD)
    return np.where(free_to_stay, np.asarray(UNTUNED_THRESHOLD, dtype=values.dtype), thresholds)
