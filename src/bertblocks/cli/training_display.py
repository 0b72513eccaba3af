"""The events of a training run, shown."""

from __future__ import annotations

import time

from bertblocks._words import counted
from bertblocks.cli.console import say
from bertblocks.cli.progress import Bar, duration
from bertblocks.training import EpochDone, Estimate, Event, StepDone, TokensCounted, VectorsDone

_SHOWN_METRICS = 4
_SECONDS_WORTH_A_WORD = 3.0
_TOKENS_WORTH_A_WORD = 20_000
# The head alone does dozens of epochs a second: their lines would bury everything else.
_SECONDS_BETWEEN_EPOCHS = 1.0


class TrainingDisplay:
    """Shows the events of a training run.

    Args:
        bar: Where steps are shown.

    Attributes:
        tokens_per_s: As the run's estimate says; None before there is one.
    """

    def __init__(self, bar: Bar) -> None:
        self.tokens_per_s: float | None = None
        self._bar = bar
        self._num_epochs = 0
        self._best: EpochDone | None = None
        self._last_epoch_line = float("-inf")

    @property
    def summary(self) -> str:
        """Which epoch was the best; "" before the first one."""
        if self._best is None:
            return ""
        return (
            f"{counted(self._num_epochs, 'epoch')}; the best was {self._best.epoch}: {_figures(self._best)}."
        )

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, TokensCounted):
            if event.longest > _TOKENS_WORTH_A_WORD:
                texts = counted(event.num_texts, "text")
                say(
                    f"{event.num_tokens:,} tokens in {texts}, the longest of "
                    f"{event.longest:,}: nothing is shown while one text is read."
                )
        elif isinstance(event, VectorsDone):
            self._bar.show("Encoding texts", event.done, event.total)
        elif isinstance(event, Estimate):
            self.tokens_per_s = event.tokens_per_s
            if event.seconds < _SECONDS_WORTH_A_WORD:
                return
            say(f"This will take about {duration(event.seconds)} ({event.tokens_per_s:,.0f} tokens/s).")
        elif isinstance(event, StepDone):
            self._show_step(event)
        elif isinstance(event, EpochDone):
            self._show_epoch(event)

    def _show_step(self, event: StepDone) -> None:
        rate = f"{event.num_tokens / event.seconds:,.0f} tokens/s" if event.num_tokens else ""
        self._bar.show(
            f"Training, epoch {event.epoch}", event.step, event.num_steps, f"loss {event.loss:.3f} {rate}"
        )

    def _show_epoch(self, event: EpochDone) -> None:
        self._num_epochs = event.epoch
        if event.best:
            self._best = event
        if time.monotonic() - self._last_epoch_line >= _SECONDS_BETWEEN_EPOCHS:
            self._last_epoch_line = time.monotonic()
            say(f"Epoch {event.epoch}: {_figures(event)}{'  (best so far)' if event.best else ''}")


def _figures(event: EpochDone) -> str:
    shown = [f"{name} {_number(value)}" for name, value in event.metrics.items() if value is not None]
    return ", ".join(shown[:_SHOWN_METRICS])


def _number(value: float) -> str:
    """Three places behind the point, where they say anything."""
    return f"{value:.3f}" if value == 0 or 1e-2 <= abs(value) < 1e6 else f"{value:.3g}"
