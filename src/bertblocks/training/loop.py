"""The loop: steps, epochs, validation, the best epoch kept, and going on after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertblocks.blocks import Task
from bertblocks.errors import ConfigError
from bertblocks.evaluation import higher_is_better
from bertblocks.training.checkpoint import (
    BEST,
    CHECKPOINT,
    BestWeights,
    Progress,
    read_training_state,
    write_training_state,
)
from bertblocks.training.events import EpochDone, Estimate, Listener, Outcome, StepDone
from bertblocks.training.losses import summed_loss
from bertblocks.training.optimizer import set_learning_rate
from bertblocks.training.processes import ALONE, Processes
from bertblocks.training.settings import TrainingSettings
from bertblocks.training.sources import StepSource

Validate = Callable[[NDArray[np.float32]], dict[str, float | None]]

# The first step warms caches up; the next ones tell the time that the others will take.
_ESTIMATE_STEPS = (1, 6)


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a run of the loop came to.

    Attributes:
        outcome: Whether all epochs were done.
        steps: Steps whose updates are in the weights that were kept.
        num_steps: Steps of all epochs.
    """

    outcome: Outcome
    steps: int
    num_steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """One run of the loop.

    Attributes:
        module: What is trained: weights that require gradients.
        optimizer: Over these weights.
        source: Gives steps and logits.
        targets: Encoded targets of the training rows.
        class_weights_C: Weight of each class in the loss, or None.
        row_weights: Weight of each training row in the loss, of mean 1, or None.
        task: Names the loss.
        settings: Resolved ones.
        metric: What the best epoch is chosen by.
        validate: Validation logits → metrics; None where there are no validation rows.
        work: Folder for checkpoints, or None.
        on_event: Told of every step and epoch.
        processes: Of the run; all of them run the loop, and only the first has a work folder.
    """

    module: nn.Module
    optimizer: torch.optim.Optimizer
    source: StepSource
    targets: Tensor
    class_weights_C: Tensor | None
    row_weights: Tensor | None
    task: Task
    settings: TrainingSettings
    metric: str
    validate: Validate | None
    work: Path | None
    on_event: Listener
    processes: Processes = ALONE

    def run(self, *, resume: bool) -> FitResult:
        """Train to the end and leave the best epoch's weights in the module.

        Args:
            resume: Go on from the work folder's checkpoint, where it has one.

        Raises:
            ConfigError: If the loss is no longer finite.
            CheckpointError: If the checkpoint cannot be read.
        """
        progress = self._begin(resume)
        best = BestWeights(self.work / BEST if self.work else None)
        num_steps = sum(1 for epoch in range(self._epochs) for _ in self.source.steps(epoch))
        clock = _Clock(progress, num_steps, self.on_event)
        self.module.train()
        while progress.epoch < self._epochs and not self._is_over(progress):
            self._run_epoch(progress, num_steps, clock)
            self._end_epoch(progress, num_steps, best)
        if self.validate is not None:
            if self.processes.is_first:
                best.restore(self.module)
            self.processes.same_weights(self.module)
        self.module.eval()
        kept_epochs = progress.epoch if self.validate is None else progress.best_epoch + 1
        return FitResult(
            outcome="stopped early" if progress.epoch < self._epochs else "all epochs done",
            steps=sum(1 for epoch in range(kept_epochs) for _ in self.source.steps(epoch)),
            num_steps=num_steps,
        )

    @property
    def _epochs(self) -> int:
        if self.settings.epochs is None:
            raise ConfigError("The number of epochs is not resolved.")
        return self.settings.epochs

    def _begin(self, resume: bool) -> Progress:
        path = None if self.work is None else self.work / CHECKPOINT
        if not self.processes.told(resume and path is not None and path.exists()):
            return Progress()
        return read_training_state(path, self.module, self.optimizer, self.processes, seed=self.settings.seed)

    def _is_over(self, progress: Progress) -> bool:
        patience = self.settings.patience
        return patience is not None and progress.epochs_without_gain >= patience

    def _run_epoch(self, progress: Progress, num_steps: int, clock: _Clock) -> None:
        for index, step in enumerate(self.source.steps(progress.epoch)):
            if index < progress.step_in_epoch:
                continue
            done = self._run_step(step, progress, num_steps)
            progress.step += 1
            progress.step_in_epoch += 1
            clock.tick(done)
            self.on_event(done)
            is_due = clock.seconds_since_checkpoint >= self.settings.checkpoint_every_s
            if self.processes.told(is_due and self.work is not None):
                path = None if self.work is None else self.work / CHECKPOINT
                write_training_state(path, self.module, self.optimizer, progress, self.processes)
                clock.checkpoint_written()

    def _run_step(self, step: NDArray[np.int64], progress: Progress, num_steps: int) -> StepDone:
        begin = time.perf_counter()
        factor = set_learning_rate(
            self.optimizer,
            step=progress.step,
            num_steps=num_steps,
            warmup_fraction=self.settings.warmup_fraction,
        )
        losses: list[Tensor] = []
        tokens = 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for indices, logits_BC, num_tokens in self.source.parts(step):
            chosen, device = torch.from_numpy(indices), logits_BC.device
            weights = None if self.row_weights is None else self.row_weights[chosen].to(device)
            targets = self.targets[chosen].to(device)
            loss = summed_loss(self.task.kind, logits_BC, targets, self.class_weights_C, weights)
            (loss / len(step)).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            tokens += num_tokens
        trained = [weight for weight in self.module.parameters() if weight.requires_grad]
        self.processes.sum_gradients(trained)
        norm = nn.utils.clip_grad_norm_(trained, self.settings.max_grad_norm)
        # Asked for once all of it is on its way: a GPU is waited for once a step.
        loss_sum, tokens = self.processes.sums([sum(map(float, losses)), tokens])
        self._check_finite("the loss", loss_sum, progress, num_steps)
        self._check_finite("the gradient", float(norm), progress, num_steps)
        self.optimizer.step()
        return StepDone(
            step=progress.step + 1,
            num_steps=num_steps,
            epoch=progress.epoch + 1,
            loss=loss_sum / len(step),
            learning_rate=self.optimizer.param_groups[0]["peak_lr"] * factor,
            grad_norm=float(norm),
            num_texts=len(step),
            num_tokens=int(tokens),
            seconds=time.perf_counter() - begin,
        )

    def _check_finite(self, what: str, value: float, progress: Progress, num_steps: int) -> None:
        """Refuse to go on with numbers that have left all bounds: no later step brings them back."""
        if math.isfinite(value):
            return
        if progress.step == 0:
            raise ConfigError(
                f"Before the first step has changed a weight, {what} is {value}: this encoder gives no "
                "finite numbers. Take another one, or precision float32."
            )
        rate = self.optimizer.param_groups[0]["peak_lr"]
        raise ConfigError(
            f"Training diverged: after step {progress.step} of {num_steps}, {what} is {value}. Lower the "
            f"learning rate (--learning-rate), which rises to {rate:g}."
        )

    def _end_epoch(self, progress: Progress, num_steps: int, best: BestWeights) -> None:
        """Validate, keep the weights if they are the best, and count the epoch as done."""
        if self.validate is not None:
            logits = self.source.validation_logits()
            self._check_finite("the largest output", float(np.abs(logits).max()), progress, num_steps)
            # Decided once, for all: what they do next must be the same.
            metrics = self.processes.told(self.validate(logits) if self.processes.is_first else None)
            is_best = self._is_best(metrics, progress)
            if is_best and self.processes.is_first:
                best.keep(self.module)
            progress.epochs_without_gain = 0 if is_best else progress.epochs_without_gain + 1
            self.on_event(
                EpochDone(epoch=progress.epoch + 1, step=progress.step, metrics=metrics, best=is_best)
            )
        progress.epoch += 1
        progress.step_in_epoch = 0

    def _is_best(self, metrics: dict[str, float | None], progress: Progress) -> bool:
        """Whether these are the best figures so far; between equal or undefined metrics the loss decides."""
        found, loss = metrics[self.metric], metrics["loss"] or 0.0
        value = -math.inf if found is None else found if higher_is_better(self.metric) else -found
        is_best = progress.best_epoch < 0 or (value, -loss) > (progress.best_value, -progress.best_loss)
        if is_best:
            progress.best_epoch, progress.best_value, progress.best_loss = progress.epoch, value, loss
        return is_best


class _Clock:
    """Times steps: tells the estimate once, and when the next checkpoint is due."""

    def __init__(self, progress: Progress, num_steps: int, on_event: Listener) -> None:
        self._num_steps, self._on_event = num_steps, on_event
        self._first = progress.step
        self._last_checkpoint = time.perf_counter()
        self._seconds, self._tokens = 0.0, 0

    @property
    def seconds_since_checkpoint(self) -> float:
        return time.perf_counter() - self._last_checkpoint

    def checkpoint_written(self) -> None:
        self._last_checkpoint = time.perf_counter()

    def tick(self, done: StepDone) -> None:
        """Count a step; after the first few, tell how long the run will take."""
        begin, end = _ESTIMATE_STEPS
        nth = done.step - self._first
        if begin < nth <= end:
            self._seconds += done.seconds
            self._tokens += done.num_tokens
        # Steps on cached vectors take milliseconds: what they need is not worth a word.
        if nth == end and self._tokens:
            per_step = self._seconds / (end - begin)
            self._on_event(
                Estimate(
                    seconds=per_step * (self._num_steps - done.step),
                    tokens_per_s=self._tokens / self._seconds,
                )
            )
