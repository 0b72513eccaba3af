"""Texts on their way to the tokenizer and back."""

from __future__ import annotations

import time

from bertblocks.serving.items import Item, State, Ticket
from bertblocks.serving.messages import Refusal, Tokenize, Tokenized
from bertblocks.serving.turns import Turns

# Texts that are handed over at once: enough to be quick, few enough that others wait little.
_PIECE_TEXTS = 64
_PIECE_CHARACTERS = 100_000
# One piece is at work, and one behind it, so that the tokenizer does not wait for this process.
_MOST_PIECES = 2


class Intake:
    """Hands texts to the tokenizer in pieces, and takes their rows.

    Attributes:
        oldest_since: When the piece that is at work began.
    """

    def __init__(self) -> None:
        self.oldest_since = 0.0
        self._new = Turns[Item](lambda item: item.state is State.NEW)
        self._pieces: dict[int, list[Item]] = {}
        self._number = 0

    @property
    def is_at_work(self) -> bool:
        """Whether the tokenizer owes an answer."""
        return bool(self._pieces)

    def add(self, ticket: Ticket, items: list[Item]) -> None:
        """Put new texts in, and those which another request has put in already."""
        self._new.add(ticket.client, ticket.number, items)

    def forget(self, ticket: Ticket) -> None:
        """A request leaves; its texts stay where others want them."""
        self._new.forget(ticket.client, ticket.number)

    def next_piece(self) -> Tokenize | None:
        """The next texts to hand over, if the tokenizer should have more."""
        if len(self._pieces) >= _MOST_PIECES or not self._new:
            return None
        items: list[Item] = []
        num_characters = 0
        while (item := self._new.next()) is not None:
            num_characters += len(item.asked.text) + len(item.asked.pair or "")
            if items and (len(items) == _PIECE_TEXTS or num_characters > _PIECE_CHARACTERS):
                break
            self._new.take()
            item.queue_s = item.enter(State.TOKENIZING)
            items.append(item)
        if not self._pieces:
            self.oldest_since = time.monotonic()
        self._number += 1
        self._pieces[self._number] = items
        return Tokenize(self._number, [item.asked for item in items])

    def take(self, message: Tokenized) -> list[Item]:
        """Take the rows of a piece; its texts wait for a batch now, or have their answer already."""
        items = self._pieces.pop(message.number)
        self.oldest_since = time.monotonic()
        for item, row in zip(items, message.rows, strict=True):
            item.tokenization_s = item.enter(State.WAITING)
            if isinstance(row, Refusal):
                item.take(row)
            else:
                item.row = row
                item.value = row.value
        return items

    def lose(self) -> list[Item]:
        """The tokenizer is gone; gives the texts that it was at, and takes back those behind them."""
        pieces = list(self._pieces.values())
        self._pieces.clear()
        for item in (item for items in pieces[1:] for item in items):
            item.enter(State.NEW)
            for ticket in item.tickets:
                self._new.add(ticket.client, ticket.number, [item])
        return pieces[0] if pieces else []
