"""Memory that was freed, back to the operating system."""

from __future__ import annotations

import ctypes
import sys


def give_back_freed_memory() -> None:
    """Ask glibc to keep no memory that nothing uses; elsewhere nothing happens.

    Small weights that are converted one after another leave holes, which glibc keeps for later: of BERT-Base
    in int8 some 250 MB.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
