"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def environment(packages: Iterable[str], threads: int) -> dict[str, Any]:
    """Hardware, versions and the command."""
    cpu = _cpu_info()
    flags = cpu.get("flags", "").split()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": cpu.get("model name") or platform.processor() or platform.machine(),
        "processor_family": cpu.get("cpu family", ""),
        "cores": physical_cores(),
        "instructions": [name for name in _INSTRUCTIONS if name in flags],
        "memory_gb": _memory_gb(),
        "threads": threads,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in sorted({*packages, "bertblocks"})},
        "command": command(),
    }


def command() -> str:
    """As it was called, without the folder of the interpreter."""
    return shlex.join([Path(sys.executable).name, *sys.argv])


def physical_cores() -> int:
    """Cores, not the threads that share one; those that this process may use at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = {
        path.read_text(encoding="utf-8")
        for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    }
    return min(usable, len(siblings) or usable)


def _cpu_info() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text(encoding="utf-8").split("\n\n", 1)[0]
    return {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())
    }


def _memory_gb() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
