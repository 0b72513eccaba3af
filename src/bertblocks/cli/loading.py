"""Imports and models loaded without Python's collector, which finds nothing there.

A vocabulary alone is half a million objects, none of them garbage; after every so many new ones the collector
looks through all that there are. Of a short prediction that was a fifth of the time.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache


@contextmanager
def loading() -> Iterator[None]:
    """Leave the collector out of the block, and out of the end of the process."""
    _freeze_at_exit()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def _freeze_at_exit() -> None:
    """Python's last collection would look through everything once more, only to end."""
    atexit.register(gc.freeze)
