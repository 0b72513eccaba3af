"""The queue with a worker that answers when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bertblocks.serving.engine import Engine
from bertblocks.serving.items import Ticket
from bertblocks.serving.messages import SHARED, Asked, Compute, Computed, Refusal, Row, Tokenize, Tokenized
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.problems import RequestError
from bertblocks.serving.settings import Limits


class SlowWorker:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.pieces: list[Tokenize] = []
        self.batches: list[Compute] = []

    def send(self, message: Any) -> None:
        (self.pieces if isinstance(message, Tokenize) else self.batches).append(message)


class Bench:
    """An engine and its worker."""

    def __init__(self, *, num_lanes: int = 1, batch_tokens: int = 100, **limits: Any) -> None:
        self.metrics = Metrics()
        self.engine = Engine(Limits(**{"max_delay_ms": 0, **limits}), self.metrics)
        self.worker = SlowWorker()
        self.engine.start(self.worker, num_lanes, batch_tokens)

    def submit(self, *texts: str, client: str = "client", cost: int = 10) -> Ticket:
        return self.engine.submit([Asked("predict", text) for text in texts], client)

    def tokenize(self, cost: int = 10) -> None:
        """Answer all that is to be tokenized."""
        while self.worker.pieces:
            piece = self.worker.pieces.pop(0)
            rows: list[Any] = [row(cost) for _ in piece.texts]
            self.engine.take(Tokenized(piece.number, rows, 0.01))

    def compute(self) -> list[str]:
        """Answer the oldest batch; gives its texts."""
        batch = self.worker.batches.pop(0)
        values = [f"answer to {asked.text}" for asked in batch.wants]
        self.engine.take(Computed(batch.number, values, 0.01))
        return [asked.text for asked in batch.wants]


def row(cost: int = 10) -> Row:
    return Row(b"\0" * 4 * cost, cost, cost, False, 0, None, cost)


def looped(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on an event loop."""

    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    run.__name__ = test.__name__
    return run


def values(ticket: Ticket) -> list[Any]:
    assert ticket.done.done()
    return [item.value for item in ticket.items]


@looped
async def test_a_text_is_tokenized_computed_and_answered():
    bench = Bench()
    ticket = bench.submit("a")
    assert [asked.text for asked in bench.worker.pieces[0].texts] == ["a"] and not bench.worker.batches
    bench.tokenize()
    assert not ticket.done.done() and bench.engine.waiting_tokens == 0
    bench.compute()
    assert values(ticket) == ["answer to a"] and bench.engine.num_texts == 0


@looped
async def test_texts_that_come_while_a_batch_is_computed_form_the_next_one():
    bench = Bench()
    bench.submit("a")
    bench.tokenize()
    others = [bench.submit(text) for text in "bcdef"]
    bench.tokenize()
    assert len(bench.worker.batches) == 1 and bench.engine.waiting_tokens == 50
    assert bench.compute() == ["a"]
    assert bench.compute() == ["b", "c", "d", "e", "f"]
    assert all(ticket.done.done() for ticket in others)


@looped
async def test_a_batch_keeps_to_its_tokens():
    bench = Bench(batch_tokens=100)
    bench.submit("a")
    bench.tokenize()
    for number in range(25):
        bench.submit(f"text {number}")
    bench.tokenize()
    sizes = []
    while bench.worker.batches:
        sizes.append(len(bench.compute()))
    assert sum(sizes) == 26 and max(sizes) <= 10


@looped
async def test_a_text_longer_than_a_batch_is_computed_alone():
    bench = Bench(batch_tokens=100)
    bench.submit("a")
    bench.tokenize()
    bench.submit("huge")
    bench.tokenize(cost=5000)
    bench.submit("small")
    bench.tokenize()
    assert [bench.compute() for _ in range(3)] == [["a"], ["huge"], ["small"]]


@looped
async def test_equal_texts_on_their_way_are_computed_once():
    bench = Bench()
    first = bench.submit("a", "b", "a")
    second = bench.submit("b")
    assert bench.engine.num_texts == 2
    bench.tokenize()
    third = bench.submit("a")
    texts = []
    while bench.worker.batches:
        texts += bench.compute()
    assert sorted(texts) == ["a", "b"]
    assert values(first) == ["answer to a", "answer to b", "answer to a"]
    assert values(second) == ["answer to b"] and values(third) == ["answer to a"]
    assert bench.metrics.shared_texts._value.get() == 3
    # What is answered is not kept.
    bench.submit("a")
    assert len(bench.worker.pieces) == 1


@looped
async def test_the_same_text_asked_otherwise_is_another():
    bench = Bench()
    asked = [
        Asked("predict", "a"),
        Asked("predict", "a", "b"),
        Asked("tokens", "a"),
        Asked("predict", "a", None, True),
    ]
    bench.engine.submit(asked, "client")
    assert bench.engine.num_texts == 4


@looped
async def test_a_small_client_does_not_wait_for_a_large_one():
    bench = Bench(batch_tokens=50)
    bench.submit("first")
    bench.tokenize()
    bench.submit(*(f"large {number}" for number in range(300)), client="large")
    bench.tokenize()
    bench.submit("small", client="small")
    bench.tokenize()
    bench.compute()
    # One batch may be in stock already; the small one is in the next.
    seen = [bench.compute() for _ in range(3)]
    assert any("small" in texts for texts in seen)


@looped
async def test_requests_of_one_client_take_turns_too():
    bench = Bench(batch_tokens=40)
    bench.submit("first")
    bench.tokenize()
    bench.submit(*(f"large {number}" for number in range(100)))
    bench.submit("small")
    bench.tokenize()
    seen = [bench.compute() for _ in range(4)]
    assert any("small" in texts for texts in seen)


@looped
async def test_a_small_client_is_not_kept_by_the_tokenizer_either():
    bench = Bench()
    bench.submit(*(f"large {number}" for number in range(640)), client="large")
    bench.submit("small", client="small")
    pieces = [bench.worker.pieces.pop(0) for _ in range(2)]
    for piece in pieces:
        bench.engine.take(Tokenized(piece.number, [row() for _ in piece.texts], 0.01))
    waiting = [asked.text for piece in bench.worker.pieces for asked in piece.texts]
    assert "small" in waiting


@looped
async def test_who_joins_a_text_of_a_large_request_does_not_wait_for_that_requests_turn():
    bench = Bench(batch_tokens=20)
    bench.submit("first")
    bench.tokenize()
    large = [f"large {number}" for number in range(200)]
    bench.submit(*large, client="large")
    bench.tokenize()
    joined = bench.submit(large[-1], client="small")
    for _ in range(5):
        bench.compute()
    assert joined.done.done()


@looped
async def test_what_a_client_that_left_wanted_is_dropped():
    bench = Bench()
    bench.submit("a")
    bench.tokenize()
    gone = bench.submit("b", "c")
    stays = bench.submit("c", "d")
    bench.tokenize()
    bench.engine.cancel(gone)
    assert gone.done.cancelled() and bench.engine.waiting_tokens == 20
    assert bench.compute() == ["a"]
    assert sorted(bench.compute()) == ["c", "d"] and stays.done.done()
    assert bench.metrics.dropped_texts._value.get() == 1 and bench.engine.num_texts == 0


@looped
async def test_who_leaves_while_being_tokenized_or_computed():
    bench = Bench()
    early = bench.submit("a")
    bench.engine.cancel(early)
    bench.tokenize()
    assert not bench.worker.batches and bench.engine.num_texts == 0
    late = bench.submit("b")
    bench.tokenize()
    bench.engine.cancel(late)
    # It is being computed anyway: who asks the same now gets the answer.
    again = bench.submit("b")
    bench.compute()
    assert values(again) == ["answer to b"]
    waits = bench.submit("c")
    bench.engine.cancel(waits)
    bench.engine.cancel(waits)
    bench.tokenize()
    assert bench.engine.num_texts == 0 and not bench.worker.batches


@looped
async def test_a_text_that_cannot_be_read_leaves_the_others_alone():
    bench = Bench()
    ticket = bench.submit("a", "b")
    piece = bench.worker.pieces.pop()
    bench.engine.take(Tokenized(piece.number, [Refusal("no"), row()], 0.01))
    bench.compute()
    assert ticket.done.done()
    assert ticket.items[0].error is not None and ticket.items[0].error.status == 422
    assert ticket.items[1].value == "answer to b"


@looped
async def test_a_lost_worker_is_answered_for_and_the_rest_goes_to_the_next():
    bench = Bench(batch_tokens=20)
    computed = bench.submit("a")
    bench.tokenize()
    waiting = bench.submit("b", "c")
    bench.tokenize()
    assert len(bench.worker.batches) == 2, "one is computed, and one in stock"
    more_waiting = bench.submit("w")
    bench.tokenize()
    tokenizing = bench.submit("d")
    new = [bench.submit(f"new {number}") for number in range(3)]
    left = bench.submit("left")
    bench.engine.cancel(left)
    bench.engine.lose_worker("The worker was ended by SIGKILL")
    assert not bench.engine.is_ready
    for ticket in (computed, tokenizing):
        assert ticket.done.done()
        error = ticket.items[0].error
        assert error is not None and error.status == 503 and "SIGKILL" in error.message
    assert not any(ticket.done.done() for ticket in (waiting, more_waiting, *new))
    with pytest.raises(RequestError) as refused:
        bench.submit("e")
    assert refused.value.status == 503 and refused.value.retry_after_s
    bench.worker = SlowWorker()
    bench.engine.start(bench.worker, 1, 20)
    while bench.worker.pieces or bench.worker.batches:
        bench.tokenize()
        if bench.worker.batches:
            bench.compute()
    assert values(waiting) == ["answer to b", "answer to c"] and values(more_waiting) == ["answer to w"]
    assert all(ticket.done.done() for ticket in new) and bench.engine.num_texts == 0


@looped
async def test_a_request_is_taken_whole_or_not_at_all():
    bench = Bench(texts_per_request=1)
    bench.submit(*(f"text {number}" for number in range(10)))
    with pytest.raises(RequestError) as refused:
        bench.submit(*(f"more {number}" for number in range(7)))
    assert refused.value.status == 429 and refused.value.retry_after_s and refused.value.bound is not None
    assert (refused.value.bound.limit, refused.value.bound.found) == (16, 17)
    assert bench.engine.num_texts == 10
    bench.submit("one more")


@looped
async def test_lanes_work_side_by_side_and_a_text_alone_takes_all():
    bench = Bench(num_lanes=2, batch_tokens=100)
    bench.submit("alone")
    bench.tokenize()
    assert [batch.lane for batch in bench.worker.batches] == [SHARED]
    tickets = [bench.submit(text) for text in "abcd"]
    bench.tokenize()
    assert len(bench.worker.batches) == 1
    bench.compute()
    assert [(batch.lane, len(batch.rows)) for batch in bench.worker.batches] == [(0, 2), (1, 2)]
    bench.compute(), bench.compute()
    assert all(ticket.done.done() for ticket in tickets)


@looped
async def test_a_batch_waits_a_little_for_texts_that_are_being_tokenized():
    bench = Bench(max_delay_ms=1000)
    bench.submit("first")
    bench.tokenize()
    batch = bench.worker.batches.pop()
    # The lane is known to take long: then a little wait is worth it.
    bench.engine.take(Computed(batch.number, ["x"], 60.0))
    bench.submit("a")
    bench.submit("b")
    piece = bench.worker.pieces.pop(0)
    bench.engine.take(Tokenized(piece.number, [row()], 0.01))
    assert not bench.worker.batches
    bench.tokenize()
    assert bench.compute() == ["a", "b"]


@looped
async def test_a_batch_does_not_wait_for_ever():
    bench = Bench(max_delay_ms=20)
    bench.submit("first")
    bench.tokenize()
    batch = bench.worker.batches.pop()
    bench.engine.take(Computed(batch.number, ["x"], 60.0))
    bench.submit("a")
    bench.submit("b")
    piece = bench.worker.pieces.pop(0)
    bench.engine.take(Tokenized(piece.number, [row()], 0.01))
    for _ in range(100):
        await asyncio.sleep(0.01)
        if bench.worker.batches:
            break
    assert bench.compute() == ["a"]


@looped
async def test_a_late_worker_is_noticed():
    bench = Bench(batch_tokens=10)
    assert bench.engine.overdue_s(0.01) < 0
    bench.submit("a")
    await asyncio.sleep(0.03)
    assert bench.engine.overdue_s(0.01) > 0, "the tokenizer is late"
    bench.tokenize(cost=1)
    await asyncio.sleep(0.05)
    assert bench.engine.overdue_s(0.01) > 0, "the batch is late"
    bench.compute()
    assert bench.engine.overdue_s(0.01) < 0
    bench.submit("long")
    bench.tokenize(cost=100_000)
    await asyncio.sleep(0.03)
    assert bench.engine.overdue_s(0.01) < 0, "a large batch may take longer"


@looped
async def test_everything_is_given_up_at_the_end():
    bench = Bench()
    tickets = [bench.submit("a"), bench.submit("b", "c")]
    bench.engine.give_up(RequestError(503, "Unhealthy", "stopped"))
    for ticket in tickets:
        assert ticket.done.done() and all(item.error is not None for item in ticket.items)
