"""The events of a training run, shown."""

from __future__ import annotations

from bertblocks.cli.console import say
from bertblocks.cli.progress import Bar, duration
from bertblocks.training import EpochDone, Estimate, Event, StepDone, VectorsDone

_SHOWN_METRICS = 4


class TrainingDisplay:
    """Shows the events of a training run.

    Args:
        bar: Where steps are shown.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, VectorsDone):
            self._bar.show("Encoding texts", event.done, event.total)
        elif isinstance(event, Estimate):
            say(f"This will take about {duration(event.seconds)} ({event.tokens_per_s:,.0f} tokens/s).")
        elif isinstance(event, StepDone):
            self._show_step(event)
        elif isinstance(event, EpochDone):
            _show_epoch(event)

    def _show_step(self, event: StepDone) -> None:
        rate = f"{event.num_tokens / event.seconds:,.0f} tokens/s" if event.num_tokens else ""
        self._bar.show(
            f"Training, epoch {event.epoch}", event.step, event.num_steps, f"loss {event.loss:.3f} {rate}"
        )


def _show_epoch(event: EpochDone) -> None:
    shown = [f"{name} {value:.3f}" for name, value in event.metrics.items() if value is not None]
    mark = "  (best so far)" if event.best else ""
    say(f"Epoch {event.epoch}: {', '.join(shown[:_SHOWN_METRICS])}{mark}")
