"""Work on several batches at the same time, each by one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def lanes_of(device: torch.device) -> int:
    """How many lanes suit a device: one for each thread on a CPU, else 1."""
    return torch.get_num_threads() if device.type == "cpu" else 1


@contextmanager
def lanes(
    compute: Callable[[Item], Result], items: Sequence[Item], num_lanes: int
) -> Iterator[Iterator[Result]]:
    """Compute all items, so many at a time.

    torch's kernels leave Python to others, so the lanes are threads. Each of them computes alone: threads
    that share a batch wait for the slowest at every step, and on a busy machine one of them is always slow.

    Args:
        compute: Called in the lanes.
        items: What it is given.
        num_lanes: With 1, or one item, everything happens in the caller's thread and torch may share it.

    Yields:
        The results, in the order of the items. When the block ends, no lane is left.
    """
    if num_lanes < 2 or len(items) < 2:
        yield map(compute, items)
        return
    num_threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        min(num_lanes, len(items)), "lane", initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        results = pool.map(compute, items)
        yield results
    finally:
        pool.shutdown(cancel_futures=True)
        # What a thread sets for itself also is what threads begin with that are made later.
        torch.set_num_threads(num_threads)
