"""Files that are made once, whole or not at all."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def once(path: Path, make: Callable[[Path], object]) -> None:
    """Make a file or folder that is not there yet, in a folder of its own, and move it into place.

    Args:
        path: Where it shall be.
        make: Writes it, and what belongs to it under the same stem, to the path it is given.
    """
    if path.exists():
        return
    print(f"{path.name}: being made", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        make(Path(work) / path.name)
        # The last one is that which path.exists() asks for.
        for made in sorted(Path(work).iterdir(), key=lambda made: made.name == path.name):
            made.rename(path.parent / made.name)
