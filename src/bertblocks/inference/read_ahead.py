"""Work that is done one step ahead: while one item is used, a thread makes the next."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import Generic, TypeVar, cast

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class _Made(Generic[Item]):
    """What the thread hands over: an item, the error that ended its work, or the end."""

    item: Item | None = None
    error: BaseException | None = None
    is_last: bool = False


@contextmanager
def read_ahead(items: Generator[Item, None, None]) -> Iterator[Iterator[Item]]:
    """Make a generator's items in a thread, one ahead of the one in use; more would only take memory.

    Tokenizing and reading so go on beside the encoder, whose kernels leave Python to others. Items keep their
    order, and what the generator raises is raised in its place, after the items before it.

    Args:
        items: Runs in the thread alone, and is closed there.

    Yields:
        The items. When the block ends, however it ends, the thread has ended too.
    """
    # The thread makes an item only when it is asked for one, so what exists at once is the item in use and
    # the next one.
    wanted: Queue[bool] = Queue()
    made: Queue[_Made[Item]] = Queue()
    thread = threading.Thread(target=_make, args=(items, wanted, made), name="read-ahead", daemon=True)
    thread.start()
    try:
        wanted.put(True)
        yield _handed_over(wanted, made)
    finally:
        wanted.put(False)
        thread.join()


def _make(items: Generator[Item, None, None], wanted: Queue[bool], made: Queue[_Made[Item]]) -> None:
    try:
        while wanted.get():
            try:
                made.put(_Made(item=next(items)))
            except StopIteration:
                made.put(_Made(is_last=True))
            except BaseException as error:
                made.put(_Made(error=error))
    finally:
        items.close()


def _handed_over(wanted: Queue[bool], made: Queue[_Made[Item]]) -> Iterator[Item]:
    while not (found := made.get()).is_last:
        if found.error is not None:
            raise found.error
        wanted.put(True)
        yield cast("Item", found.item)
