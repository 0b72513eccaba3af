"""Long work shown: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bertblocks.cli.console import say, stderr

# Without a terminal a line now and then is enough, and keeps logs short.
_SECONDS_BETWEEN_LINES = 15.0


class Bar:
    """One bar; a context manager."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amount]}", markup=False),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self._task: TaskID | None = None
        self._total: int | None = None
        self._done = self._done_before = 0
        self._what = ""
        self._begin = self._last_line = time.monotonic()

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, what: str, done: int, total: int | None, detail: str = "") -> None:
        """Show how far something has come.

        Args:
            what: Is being done.
            done: Units of it.
            total: Units in all; None where nobody knows.
            detail: What else there is to say.
        """
        amount = f"{done:,}" if total is None else f"{done / max(1, total):.0%}"
        if self._task is not None and (total != self._total or done < self._done):
            self._end_work()
        if self._task is None:
            self._begin, self._done_before = time.monotonic(), done
            self._task = self._progress.add_task(what, total=total, detail=detail, amount=amount)
        self._what, self._total, self._done = what, total, done
        self._progress.update(self._task, description=what, completed=done, detail=detail, amount=amount)
        if not stderr.is_terminal and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            of = f" of {total:,}" if total is not None else ""
            say(f"{what}: {done:,}{of}  {detail}  {self._time_left()}".rstrip())

    def _time_left(self) -> str:
        """What the rate so far says of the rest; "" where there is no telling."""
        done = self._done - self._done_before
        if self._total is None or not done:
            return ""
        return f"{duration((time.monotonic() - self._begin) / done * (self._total - self._done))} left"

    def add(self, what: str, num_rows: int) -> None:
        """Show that so many rows more are done, of a table whose length nobody knows."""
        if self._total is not None or what != self._what:
            self._end_work()
        done, seconds = self._done + num_rows, time.monotonic() - self._begin
        # The first rows also wait for what is made ready only once: the others tell the rate.
        since_then = done - self._done_before
        rate = f"{since_then / seconds:,.0f} rows/s" if self._done and seconds else ""
        self.show(what, done, None, rate)

    def _end_work(self) -> None:
        """Other work comes: it begins at 0, and has a rate of its own."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task, self._done = None, 0


def duration(seconds: float) -> str:
    """A time as a person would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
