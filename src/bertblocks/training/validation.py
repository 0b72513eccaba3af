"""Logits of the validation rows → what the best epoch is chosen by, temperatures and thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.evaluation import calibrate, compute_metrics, tune_thresholds
from bertblocks.inference import scores_from_logits, targets_in_unit
from bertblocks.training.losses import summed_loss


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """The truth of the validation rows.

    Attributes:
        task: What is predicted; thresholds are 0.5 and temperatures 1 while it trains.
        targets: Of the validation rows, as data.encode_targets gives them.
        class_weights: Of the loss, shape (C,), or None.
    """

    task: Task
    targets: NDArray[Any]
    class_weights: NDArray[np.float32] | None

    def figures(self, logits: NDArray[np.float32]) -> dict[str, float | None]:
        """The loss, and every metric of the task, by name."""
        weights = None if self.class_weights is None else torch.from_numpy(self.class_weights)
        targets = torch.from_numpy(self.targets)
        loss = summed_loss(self.task.kind, torch.from_numpy(logits), targets, weights) / len(targets)
        metrics = compute_metrics(
            self.task,
            targets=targets_in_unit(self.task, self.targets),
            scores=scores_from_logits(self.task, logits),
        )
        return {"loss": float(loss), **metrics.values}

    def tuned(self, logits: NDArray[np.float32]) -> Task:
        """The task with the temperatures, and then the thresholds, that suit these logits best."""
        task = calibrate(self.task, targets=self.targets, logits=logits)
        if task.kind != "multilabel":
            return task
        return replace(task, thresholds=tune_thresholds(self.targets, scores_from_logits(task, logits)))
