from __future__ import annotations

from bertblocks.serving.returning import Returning


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rounds(returning: Returning, clock: Clock, count: int, comes_back: int) -> None:
    """Batches of 10 texts, of whose clients some come back at once."""
    for _ in range(count):
        returning.answered(10, 0.02)
        clock.now += 0.01
        returning.arrived(comes_back)
        clock.now += 0.1


def test_clients_that_ask_again_at_once_are_waited_for():
    clock = Clock()
    returning = Returning(clock)
    assert not returning.are_expected
    rounds(returning, clock, 10, 10)
    returning.answered(10, 0.02)
    assert returning.share > 0.9 and returning.are_expected
    returning.arrived(5)
    assert returning.are_expected
    returning.arrived(5)
    assert not returning.are_expected, "all have come back"
    returning.answered(10, 0.02)
    clock.now += 0.03
    assert not returning.are_expected, "they have had their time"


def test_clients_that_do_not_are_not():
    clock = Clock()
    returning = Returning(clock)
    rounds(returning, clock, 10, 1)
    returning.answered(10, 0.02)
    assert not returning.are_expected


def test_habits_change():
    clock = Clock()
    returning = Returning(clock)
    rounds(returning, clock, 10, 10)
    rounds(returning, clock, 5, 0)
    returning.answered(10, 0.02)
    assert not returning.are_expected and returning.share < 0.5


def test_what_comes_late_does_not_count():
    clock = Clock()
    returning = Returning(clock)
    for _ in range(10):
        returning.answered(10, 0.02)
        clock.now += 0.1
        returning.arrived(10)
    returning.answered(10, 0.02)
    assert returning.share == 0
