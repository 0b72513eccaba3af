"""Work on several batches at the same time, each by one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Lock
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_setting_threads = Lock()


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
    pool = _one_thread_each(min(num_lanes, len(items)))
    try:
        yield pool.map(compute, items)
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread_each(num_lanes: int) -> ThreadPoolExecutor:
    """Threads of which each computes alone, all of them started.

    What a thread sets for itself also is what threads begin with that are made later: so the number is put
    right as soon as every lane has set its own, and not when all the work is done.
    """
    num_threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(num_lanes, "lane")
    all_here = Barrier(num_lanes)

    def begin() -> None:
        # Asked first: else torch would still begin with the common number, at the first operation.
        torch.get_num_threads()
        torch.set_num_threads(1)
        # So that no thread takes two of these.
        all_here.wait()

    with _setting_threads:
        for started in [pool.submit(begin) for _ in range(num_lanes)]:
            started.result()
        torch.set_num_threads(num_threads)
    return pool
