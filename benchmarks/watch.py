"""Who else computes while an engine is timed: those that wait for their turn, and other programs."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

# Processor time has a grain of 10 ms: shorter runs say nothing.
_LONG_ENOUGH_S = 0.5


@dataclass(kw_only=True)
class Watch:
    """Collects shares of a core; empty where the system has no /proc.

    Attributes:
        pids: Of all engines.
        waiting: By the engines that wait, one number for each timed run.
        strangers: By all other programs, and what a virtual machine's host took away.
    """

    pids: list[int] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    strangers: list[float] = field(default_factory=list)

    @contextmanager
    def during(self, pid: int) -> Iterator[None]:
        """Watch while the engine with this number runs."""
        start, before = time.perf_counter(), self._account(pid)
        yield
        seconds, after = time.perf_counter() - start, self._account(pid)
        if seconds >= _LONG_ENOUGH_S and before and after:
            self.waiting.append((after[0] - before[0]) / seconds)
            self.strangers.append(max(0.0, after[1] - before[1]) / seconds)

    def summary(self) -> dict[str, float]:
        """The most that those who wait took, and what others usually took."""
        return {
            "waiting_at_most": max(self.waiting, default=0.0),
            "strangers_median": statistics.median(self.strangers or [0.0]),
        }

    def _account(self, pid: int) -> tuple[float, float] | None:
        """Processor seconds so far: of the engines that wait, and of everybody who is no engine."""
        if not Path("/proc/stat").exists():
            return None
        waiting = sum(_cpu_seconds(other) for other in self.pids if other != pid)
        return waiting, _busy_seconds() - waiting - _cpu_seconds(pid) - time.process_time()


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    """Of all cores together: everything but idling and waiting for disks."""
    user, nice, system, _, _, interrupts, soft, stolen = (
        int(value) for value in Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
