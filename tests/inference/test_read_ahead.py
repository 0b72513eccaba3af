from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from bertblocks.inference.read_ahead import read_ahead

_SECONDS = 10.0


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def count(stop: int, made: list[int] | None = None) -> Generator[int, None, None]:
    for number in range(stop):
        if made is not None:
            made.append(number)
        yield number


def test_items_keep_their_order():
    with read_ahead(count(1000)) as items:
        assert list(items) == list(range(1000))
        assert next(items, None) is None


def test_there_may_be_none():
    with read_ahead(count(0)) as items:
        assert list(items) == []


def test_one_item_is_made_while_another_is_used():
    second = threading.Event()

    def two() -> Generator[str, None, None]:
        yield "first"
        second.set()
        yield "second"

    with read_ahead(two()) as items:
        assert next(items) == "first"
        assert second.wait(_SECONDS), "the second is made though nobody has asked for it yet"


def test_no_more_than_one_is_made_ahead():
    made: list[int] = []
    with read_ahead(count(100, made)) as items:
        for number in items:
            assert len(made) <= number + 2
    assert made == list(range(100))


def test_items_are_made_in_a_thread():
    def where() -> Generator[int, None, None]:
        yield threading.get_ident()

    with read_ahead(where()) as items:
        assert next(items) != threading.get_ident()


@pytest.mark.parametrize("kind", [ValueError, SystemExit, BaseException])
def test_an_error_comes_in_its_place(kind):
    def failing() -> Generator[int, None, None]:
        yield 0
        yield 1
        raise kind("at last")

    found = []
    with pytest.raises(kind, match="at last") as caught, read_ahead(failing()) as items:
        for number in items:
            found.append(number)
    assert found == [0, 1]
    assert "failing" in [entry.name for entry in caught.traceback], "where it was raised is told"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError, None])
def test_who_stops_early_leaves_nothing_behind(kind):
    closed = threading.Event()

    def endless() -> Generator[int, None, None]:
        try:
            yield from iter(int, 1)
        finally:
            closed.set()

    def use() -> None:
        with read_ahead(endless()) as items:
            next(items)
            if kind:
                raise kind

    if kind:
        with pytest.raises(kind):
            use()
    else:
        use()
    assert closed.is_set()


def test_who_asks_for_nothing_leaves_nothing_behind():
    with read_ahead(count(5)):
        pass
