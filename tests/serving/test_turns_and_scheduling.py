from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertblocks.serving.messages import SHARED
from bertblocks.serving.scheduling import next_turn
from bertblocks.serving.turns import Turns


def drained(turns: Turns[str]) -> list[str]:
    found = []
    while (item := turns.take()) is not None:
        found.append(item)
    return found


def test_requests_take_turns():
    turns = Turns[str](lambda _: True)
    turns.add("a client", 1, ["1a", "1b", "1c"])
    turns.add("a client", 2, ["2a"])
    turns.add("a client", 3, ["3a", "3b"])
    assert drained(turns) == ["1a", "2a", "3a", "1b", "3b", "1c"]


def test_a_client_with_many_requests_waits_for_itself_alone():
    turns = Turns[str](lambda _: True)
    for request in range(100):
        turns.add("large", request, [f"large {request}"])
    turns.add("small", 0, ["small"])
    assert drained(turns)[:3] == ["large 0", "small", "large 1"]


def test_what_nobody_wants_is_passed_over():
    unwanted = {"b", "c", "d"}
    turns = Turns[str](lambda item: item not in unwanted)
    turns.add(0, 0, ["a", "b", "c"])
    turns.add(0, 1, ["d"])
    turns.add(1, 0, ["e"])
    assert drained(turns) == ["a", "e"]
    assert not turns and turns.next() is None


def test_a_request_leaves():
    turns = Turns[str](lambda _: True)
    turns.add(0, 0, ["a", "b"])
    turns.add(0, 1, ["c"])
    turns.forget(0, 0)
    turns.forget(0, 0)
    turns.forget("nobody", 7)
    turns.add(0, 2, [])
    assert drained(turns) == ["c"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 5)), max_size=20))
def test_everything_is_taken_once_and_in_the_order_of_its_request(entries):
    turns = Turns[tuple[int, int, int]](lambda _: True)
    added: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for number, (client, request, count) in enumerate(entries):
        items = [(client, request, 100 * number + index) for index in range(count)]
        turns.add(client, request, items)
        added.setdefault((client, request), []).extend(items)
    taken = drained(turns)
    for (client, request), items in added.items():
        assert [item for item in taken if item[:2] == (client, request)] == items
    assert len(taken) == sum(map(len, added.values()))


def test_a_text_alone_is_shared_by_all_lanes():
    turn = next_turn(1, 60, [[], []], 1024)
    assert turn is not None and turn.lane == SHARED and turn.takes(0, 5000)


def test_one_lane_needs_no_shared_one():
    turn = next_turn(1, 60, [[]], 1024)
    assert turn is not None and turn.lane == 0


def test_a_text_alone_beside_work_takes_the_free_lane():
    turn = next_turn(1, 60, [[500.0], []], 1024)
    assert turn is not None and turn.lane == 1


def test_several_texts_are_spread_so_that_lanes_end_together():
    turn = next_turn(10, 600, [[], []], 1024)
    assert turn is not None and (turn.lane, turn.wish) == (0, 300)
    turn = next_turn(5, 300, [[300.0], []], 1024)
    assert turn is not None and (turn.lane, turn.wish) == (1, 300)
    # The other lane has long to go: everything goes to this one.
    turn = next_turn(3, 200, [[900.0], []], 1024)
    assert turn is not None and turn.wish == 200


def test_much_goes_to_the_only_free_lane_and_is_spread_over_several():
    turn = next_turn(20, 600, [[500.0], []], 1024)
    assert turn is not None and (turn.lane, turn.wish) == (1, 1024)
    turn = next_turn(20, 1100, [[], []], 1024)
    assert turn is not None and turn.wish == 550


def test_lanes_get_stock_only_where_there_is_more_than_enough():
    assert next_turn(20, 2047, [[900.0], [1000.0]], 1024) is None
    turn = next_turn(20, 2048, [[900.0], [1000.0]], 1024)
    assert turn is not None and turn.lane == 0
    turn = next_turn(20, 2048, [[900.0, 1024.0], [1000.0]], 1024)
    assert turn is not None and turn.lane == 1
    assert next_turn(20, 2048, [[900.0, 1024.0], [1000.0, 1024.0]], 1024) is None


def test_nothing_waits():
    assert next_turn(0, 0, [[], []], 1024) is None


@pytest.mark.parametrize(
    ("has", "more", "takes"),
    [(0, 9999, True), (60, 60, True), (90, 40, False), (1000, 30, False), (100, 19, False), (81, 18, True)],
)
def test_a_batch_is_filled_to_the_nearest(has, more, takes):
    turn = next_turn(10, 180, [[], []], 1024)
    assert turn is not None and turn.wish == 90
    assert turn.takes(has, more) is takes


@given(st.lists(st.integers(1, 600), min_size=2, max_size=60), st.integers(1, 4))
def test_free_lanes_are_filled_until_nothing_waits_or_all_are_full(costs, num_lanes):
    lanes: list[list[float]] = [[] for _ in range(num_lanes)]
    waiting = list(costs)
    while (turn := next_turn(len(waiting), sum(waiting), lanes, 1024)) and turn.lane != SHARED:
        tokens = 0
        while waiting and turn.takes(tokens, waiting[0]):
            tokens += waiting.pop(0)
        assert tokens, "a turn takes something"
        assert tokens <= 1024 or math.isinf(turn.wish)
        lanes[turn.lane].append(tokens)
        if len(lanes[turn.lane]) > 2:
            raise AssertionError("a lane has one batch in stock at most")
    assert not waiting or all(lanes)
