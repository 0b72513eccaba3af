"""The queue: texts come in, batches go to the worker, answers come back. It runs on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from typing import Protocol

from bertblocks._words import counted
from bertblocks.serving.intake import Intake
from bertblocks.serving.items import Item, State, Ticket
from bertblocks.serving.lanes import Lanes
from bertblocks.serving.messages import Asked, Compute, Computed, Tokenized, ToWorker
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.problems import Bound, RequestError, overloaded, unavailable
from bertblocks.serving.returning import Returning
from bertblocks.serving.settings import Limits
from bertblocks.serving.waiting import WaitingTexts

_LONGEST_RETRY_S = 60
_WAITING_REQUESTS = 16
# A batch waits for texts that are on their way, but never longer than this share of what a batch takes.
_WORTH_WAITING = 1 / 16


class Sends(Protocol):
    """What the engine needs of a worker's process."""

    def send(self, message: ToWorker) -> None:
        """Hand a message over, without waiting."""


class Engine:
    """Puts the texts of all requests into batches for one worker.

    A text is tokenized as soon as it comes, and then waits until a lane is free. Equal texts that wait or are
    being computed are one. What nobody wants any more is dropped before it comes into a batch.

    Args:
        limits: How much may wait.
        metrics: Where things are counted.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._worker: Sends | None = None
        self._items: dict[Asked, Item] = {}
        self._intake = Intake()
        self._waiting = WaitingTexts()
        self._lanes = Lanes(1, 1)
        self._returning = Returning()
        self._hold_since: float | None = None
        self._hold: asyncio.TimerHandle | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a worker that answers."""
        return self._worker is not None

    @property
    def num_texts(self) -> int:
        """Texts on their way, computed ones included."""
        return len(self._items)

    @property
    def waiting_tokens(self) -> int:
        """Tokens of the texts that wait for a batch."""
        return self._waiting.num_tokens

    @property
    def most_texts(self) -> int:
        """Texts that may be on their way."""
        return self._limits.texts_per_request * _WAITING_REQUESTS

    def start(self, worker: Sends, num_lanes: int, batch_tokens: int) -> None:
        """Go to work with a worker that has loaded its model."""
        self._worker = worker
        self._lanes = Lanes(num_lanes, batch_tokens)
        self._advance()

    def submit(self, asked: Sequence[Asked], client: Hashable) -> Ticket:
        """Take all texts of a request, or none.

        Raises:
            RequestError: If there is no worker, or no room.
        """
        if not self.is_ready:
            raise unavailable("The model is being loaded: try again in some seconds.")
        if self._items and len(self._items) + len(asked) > self.most_texts:
            on_way = counted(len(self._items), "text is", "texts are")
            raise overloaded(
                f"{on_way} on their way, and there is room for {self.most_texts:,}: try again later.",
                Bound(name="waiting_texts", limit=self.most_texts, found=len(self._items) + len(asked)),
                self.retry_after_s(),
            )
        self._returning.arrived(len(asked))
        items = [self._item(text) for text in asked]
        ticket = Ticket(client, items)
        distinct = list(dict.fromkeys(items))
        self._intake.add(ticket, [item for item in distinct if item.state is State.NEW])
        self._waiting.join(ticket, [item for item in distinct if item.state is State.WAITING])
        self._advance()
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Drop what only this request wanted, unless it is being computed."""
        self._intake.forget(ticket)
        self._waiting.forget(ticket)
        for item in dict.fromkeys(ticket.items):
            item.tickets.pop(ticket, None)
            if item.tickets or item.state not in (State.NEW, State.WAITING):
                continue
            self._metrics.dropped_texts.inc()
            if item.state is State.WAITING:
                self._waiting.drop(item)
            self._finish(item)
        ticket.done.cancel()

    def retry_after_s(self) -> int:
        """Whole seconds in which what waits now is probably computed."""
        seconds = self._waiting.num_tokens / max(1.0, self._lanes.tokens_per_s)
        return int(min(_LONGEST_RETRY_S, 1 + seconds))

    def take(self, message: Tokenized | Computed) -> None:
        """Take an answer of the worker's."""
        if isinstance(message, Tokenized):
            for item in self._intake.take(message):
                self._place(item)
        else:
            self._take_values(message)
        self._advance()

    def lose_worker(self, reason: str) -> None:
        """The worker is gone: what it was at has no answer, and the rest waits for the next one.

        What it was at may be the cause, and is not tried again.

        Args:
            reason: A sentence's beginning: "The worker was killed".
        """
        self._worker = None
        lost = self._intake.lose()
        for batch in self._lanes.batches():
            if batch.begun is not None:
                lost += batch.items
                continue
            for item in batch.items:
                item.enter(State.WAITING)
                self._place(item)
        self._lanes = Lanes(self._lanes.num_lanes, self._lanes.batch_tokens)
        for item in lost:
            item.error = unavailable(
                f"{reason} while it had this text in hand. Another one is being started."
            )
            self._finish(item)

    def give_up(self, problem: RequestError) -> None:
        """Answer everything that is on its way with an error."""
        for item in list(self._items.values()):
            item.error = problem
            for ticket in list(item.tickets):
                ticket.give_up()

    def overdue_s(self, allowed_s: float) -> float:
        """By how many seconds the worker is late with an answer; below 0 where it is not.

        Args:
            allowed_s: For a batch of ordinary size.
        """
        now = time.monotonic()
        late = self._lanes.oldest_overdue_s(now, allowed_s)
        return max(late, now - self._intake.oldest_since - allowed_s) if self._intake.is_at_work else late

    def _item(self, asked: Asked) -> Item:
        item = self._items.get(asked)
        if item is None:
            item = self._items[asked] = Item(asked)
        else:
            self._metrics.shared_texts.inc()
        return item

    def _place(self, item: Item) -> None:
        """A text comes from the tokenizer."""
        if item.error is not None or item.value is not None:
            self._finish(item)
        elif not item.tickets:
            self._metrics.dropped_texts.inc()
            self._finish(item)
        else:
            self._waiting.add(item)

    def _take_values(self, message: Computed) -> None:
        batch = self._lanes.finish(message.number, message.seconds)
        self._metrics.batch_seconds.observe(message.seconds)
        self._returning.answered(len(batch.items), self._most_delay_s)
        for item, value in zip(batch.items, message.values, strict=True):
            item.inference_s = item.enter(State.DONE)
            item.take(value)
            self._finish(item)

    def _finish(self, item: Item) -> None:
        item.state = State.DONE
        if self._items.get(item.asked) is item:
            del self._items[item.asked]
        for ticket in item.tickets:
            ticket.one_is_done()

    def _advance(self) -> None:
        """Do all that can be done now."""
        if self._worker is None:
            return
        while piece := self._intake.next_piece():
            self._worker.send(piece)
        while turn := self._lanes.next_turn(self._waiting.num_texts, self._waiting.num_tokens):
            if self._holds_back():
                return
            batch = self._lanes.begin(turn.lane, self._waiting.fill(turn))
            self._metrics.batch_tokens.observe(batch.num_tokens)
            self._metrics.batch_texts.observe(len(batch.items))
            wants = [item.asked for item in batch.items]
            rows = [item.row for item in batch.items if item.row is not None]
            self._worker.send(Compute(batch.number, batch.lane, wants, rows))
        self._hold_since = None

    @property
    def _most_delay_s(self) -> float:
        return min(self._limits.max_delay_ms / 1000, self._lanes.batch_s * _WORTH_WAITING)

    def _holds_back(self) -> bool:
        """Whether the next batch waits a little, for texts that are being tokenized or about to come."""
        if not self._intake.is_at_work and not self._returning.are_expected:
            return False
        now = time.monotonic()
        if self._hold_since is None:
            self._hold_since = now
        left_s = self._hold_since + self._most_delay_s - now
        if left_s <= 0:
            return False
        if self._hold is None:
            self._hold = asyncio.get_running_loop().call_later(left_s, self._release)
        return True

    def _release(self) -> None:
        self._hold = None
        self._advance()
