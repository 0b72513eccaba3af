"""Long work shown: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bertblocks.cli.console import say, stderr
from bertblocks.training.events import EpochDone, Estimate, Event, StepDone, VectorsDone

# Without a terminal a line now and then is enough, and keeps logs short.
_SECONDS_BETWEEN_LINES = 15.0


class Bar:
    """One bar; a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self._task: TaskID | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        """Show how far something has come."""
        if self._task is None:
            self._task = self._progress.add_task(what, total=total, detail=detail)
        self._progress.update(self._task, description=what, completed=done, total=total, detail=detail)
        if not stderr.is_terminal and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            of = f" of {total:,}" if total is not None else ""
            say(f"{what}: {done:,}{of}  {detail}")


class TrainingDisplay:
    """Shows the events of a training run.

    Args:
        bar: Where steps are shown.
        cost_hint: Says, from the tokens per second here, what another encoder would cost; or None.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, VectorsDone):
            self._bar.show("Encoding texts", event.done, event.total)
        elif isinstance(event, Estimate):
            rate = f" ({event.tokens_per_s:,.0f} tokens/s)" if event.tokens_per_s else ""
            say(f"Training will take about {duration(event.seconds)}{rate}.")
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
        shown = [f"{name} {value:.3f}" for name, value in event.metrics.items() if value is not None]
        mark = "  (best so far)" if event.best else ""
        say(f"Epoch {event.epoch}: {', '.join(shown[:4])}{mark}")


def duration(seconds: float) -> str:
    """A time as a person would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
