"""What waits in the engine: texts, and the requests that wait for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence
from enum import Enum
from itertools import count
from typing import Any

from bertblocks.serving.messages import Asked, Refusal, Row
from bertblocks.serving.problems import Kind, RequestError

_numbers = count()


class State(Enum):
    """How far a text has come."""

    NEW = "not tokenized yet"
    TOKENIZING = "being tokenized"
    WAITING = "waiting for a batch"
    COMPUTING = "being computed"
    DONE = "answered, or nobody wants it any more"


class Item:
    """A text on its way, once for all requests that ask the same.

    Attributes:
        asked: The text, and what is to be made of it.
        state: How far it has come.
        tickets: The requests that wait for it.
        row: Its tokens, once they are known.
        value: The answer, once it is known.
        error: Why there is none.
        tokenization_s: Seconds that its tokens took, with those of the texts beside it.
        queue_s: Seconds that it waited.
        inference_s: Seconds that its batch took.
    """

    __slots__ = (
        "asked",
        "error",
        "inference_s",
        "queue_s",
        "row",
        "since",
        "state",
        "tickets",
        "tokenization_s",
        "value",
    )

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.state = State.NEW
        self.tickets: dict[Ticket, None] = {}
        self.row: Row | None = None
        self.value: Any = None
        self.error: RequestError | None = None
        self.since = time.monotonic()
        self.tokenization_s = self.queue_s = self.inference_s = 0.0

    @property
    def cost(self) -> int:
        """Tokens that computing it takes."""
        return 0 if self.row is None else self.row.cost

    def enter(self, state: State) -> float:
        """Come further; gives the seconds that it has been in the state before."""
        now = time.monotonic()
        passed, self.since, self.state = now - self.since, now, state
        return passed

    def take(self, value: Any) -> None:
        """Take the answer, or the reason why there is none."""
        if isinstance(value, Refusal):
            kind: Kind = "Tokenizer" if value.is_texts else "Backend"
            self.error = RequestError(422 if value.is_texts else 424, kind, value.message)
        else:
            self.value = value


class Ticket:
    """A request's texts, and a future that has a result when all of them are done.

    Attributes:
        number: Different for each.
        client: Who asks.
        items: One for each text, in order; equal texts are the same item.
        done: Set when all are done.
    """

    def __init__(self, client: Hashable, items: Sequence[Item]) -> None:
        self.number = next(_numbers)
        self.client = client
        self.items = items
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting = 0
        for item in items:
            if item.state is not State.DONE and self not in item.tickets:
                item.tickets[self] = None
                self._waiting += 1
        if not self._waiting:
            self.done.set_result(None)

    def one_is_done(self) -> None:
        """One of the items that it waited for is done."""
        self._waiting -= 1
        if not self._waiting and not self.done.done():
            self.done.set_result(None)

    def give_up(self) -> None:
        """Nothing more comes: what is not done yet has an error by now."""
        if not self.done.done():
            self.done.set_result(None)
