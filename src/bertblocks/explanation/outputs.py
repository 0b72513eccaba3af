"""Which number of a model's answer is explained.

Of a label it is the logarithm of its odds, log p - log (1 - p), where p is the probability that the user is
told, temperature included. Where labels are asked one by one, that is the label's logit. Where one of several
is right, it is the logit less the logarithm of the sum of the others' exponentials: what moves all logits
alike, and so changes no probability, counts for nothing. Unlike a probability it does not flatten near 0
and 1. Of a regression it is the number, in the target's own unit.

Axes: B rows, C outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertblocks.blocks import Task
from bertblocks.errors import ConfigError
from bertblocks.inference import scores_from_logits

Unit = Literal["log-odds", "number"]


def explained_output(task: Task, logits_BC: Tensor, columns_B: Tensor) -> Tensor:
    """The number that is explained, of each row.

    Args:
        task: What the model was asked.
        logits_BC: What its module gives; a gradient flows through them.
        columns_B: The label of each row, by its place in task.labels; 0 for a regression. int64.

    Returns:
        Log-odds, or numbers in the target's own unit; float64, shape (B,).
    """
    if task.activation == "linear":
        return logits_BC[:, 0].double() * task.target_scale + task.target_mean
    temperatures = torch.tensor(
        task.temperatures or task.temperature, dtype=torch.float64, device=logits_BC.device
    )
    scaled_BC = logits_BC.double() / temperatures
    own_B = scaled_BC.gather(1, columns_B[:, None])[:, 0]
    if task.activation == "sigmoid":
        return own_B
    others_BC = scaled_BC.scatter(1, columns_B[:, None], -torch.inf)
    return own_B - others_BC.logsumexp(1)


def explained_outputs(
    task: Task, logits_BC: NDArray[np.float32], columns_B: NDArray[np.int64]
) -> NDArray[np.float64]:
    """As explained_output, of arrays."""
    found: NDArray[np.float64] = explained_output(
        task, torch.from_numpy(logits_BC), torch.from_numpy(columns_B)
    ).numpy()
    return found


def unit_of(task: Task) -> Unit:
    """What explained outputs are counted in."""
    return "number" if task.kind == "regression" else "log-odds"


def probability_of(task: Task, output: float) -> float | None:
    """The probability that log-odds stand for; None for a number."""
    return None if task.kind == "regression" else float(np.exp(-np.logaddexp(0.0, -output)))


def chosen_columns(
    task: Task, logits_BC: NDArray[np.float32], labels: str | Sequence[str] | None
) -> NDArray[np.int64]:
    """The label to explain for each row: the named one, or the most probable.

    Args:
        task: What the model was asked.
        logits_BC: What its module gives.
        labels: One for all rows, one for each, or None.

    Raises:
        ConfigError: If there is no such label, none at all, or not one for each row.
    """
    if labels is None:
        if task.kind == "regression":
            return np.zeros(len(logits_BC), dtype=np.int64)
        return np.asarray(scores_from_logits(task, logits_BC).argmax(axis=1), dtype=np.int64)
    if task.kind == "regression":
        raise ConfigError("This model predicts a number and has no labels: leave the label out.")
    named = [labels] * len(logits_BC) if isinstance(labels, str) else list(labels)
    if len(named) != len(logits_BC):
        raise ConfigError(f"Found {len(named)} labels for {len(logits_BC)} texts; give one a text, or one.")
    if unknown := [label for label in named if label not in task.labels]:
        known = ", ".join(map(repr, task.labels[:20])) + (", ..." if len(task.labels) > 20 else "")
        raise ConfigError(f"There is no label {unknown[0]!r:.100} in this model; it has {known}.")
    return np.array([task.labels.index(label) for label in named], dtype=np.int64)
