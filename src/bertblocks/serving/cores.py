"""How many threads suit this process: one a core that it may use, as far as its container pays for them."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def usable_cores(groups: Path = _GROUPS) -> int:
    """Cores that the process may run on, at most its container's share of processor time, at least 1.

    Args:
        groups: Where Linux shows the limits of this process' control group, of version 2 or 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(groups)
    # Half a core more is worth a thread.
    return max(1, min(cores, int(quota + 0.5))) if quota is not None else cores


def _quota(groups: Path) -> float | None:
    """Seconds of processor time a second; None where there is no limit."""
    try:
        if (groups / "cpu.max").exists():
            time, _, period = (groups / "cpu.max").read_text(encoding="ascii").strip().partition(" ")
        else:
            time = (groups / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        return int(time) / int(period) if int(time) > 0 else None
    except (OSError, ValueError):
        # "max" is no number: there is no limit.
        return None
