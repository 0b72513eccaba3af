"""Facts about a run that a report tells at its end: what was used, in which version, on what machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bertblocks._files import file_sha256
from bertblocks._version import __version__
from bertblocks.checkpoints import MANIFEST
from bertblocks.inference import Predictor

_LIBRARIES = ("torch", "tokenizers", "numpy", "scikit-learn")
Facts = Mapping[str, Mapping[str, str]]


def run_facts(predictor: Predictor, *, model: Path, table: Path, settings: Mapping[str, Any]) -> Facts:
    """Gather them.

    Args:
        predictor: What answered.
        model: Its folder.
        table: What was evaluated.
        settings: Names and values to show; those that are None are left out.
    """
    shown = {name.replace("_", " "): str(value) for name, value in settings.items() if value is not None}
    return {
        "Settings": {
            **shown,
            "precision": predictor.precision,
            "kernels": predictor.kernels,
            "device": str(predictor.device),
        },
        "Versions": {
            "bertblocks": __version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "Machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            **_most_memory(),
        },
        "Files": {
            "model": str(model),
            "model, sha256 of its bertblocks.json": _sha256(model / MANIFEST),
            "table": str(table),
            "table, sha256": _sha256(table),
        },
    }


def _most_memory() -> dict[str, str]:
    """The most memory that this process had so far; nothing where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return {}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In bytes on a Mac, in KiB elsewhere.
    num_bytes = used if platform.system() == "Darwin" else used * 1024
    return {"most memory of this process": f"{num_bytes / 1e6:,.0f} MB"}


def _sha256(path: Path) -> str:
    return file_sha256(path) if path.is_file() else "not a single file"
