"""Tokenized texts that wait for a batch."""

from __future__ import annotations

from bertblocks.serving.items import Item, State, Ticket
from bertblocks.serving.scheduling import Turn
from bertblocks.serving.turns import Turns


class WaitingTexts:
    """Texts that wait, by turns of their clients and requests.

    Attributes:
        num_texts: How many wait.
        num_tokens: What they cost.
    """

    def __init__(self) -> None:
        self.num_texts = self.num_tokens = 0
        self._turns = Turns[Item](lambda item: item.state is State.WAITING)

    def add(self, item: Item) -> None:
        """A text has its row now, and waits for all the requests that want it."""
        self.num_texts += 1
        self.num_tokens += item.cost
        for ticket in item.tickets:
            self._turns.add(ticket.client, ticket.number, [item])

    def join(self, ticket: Ticket, items: list[Item]) -> None:
        """A request wants texts that wait already: they may come at its turn too."""
        self._turns.add(ticket.client, ticket.number, items)

    def forget(self, ticket: Ticket) -> None:
        """A request leaves; its texts stay where others want them."""
        self._turns.forget(ticket.client, ticket.number)

    def drop(self, item: Item) -> None:
        """A text that waits is not wanted any more."""
        self.num_texts -= 1
        self.num_tokens -= item.cost

    def fill(self, turn: Turn) -> list[Item]:
        """Take the texts of a batch."""
        items: list[Item] = []
        num_tokens = 0
        while (item := self._turns.next()) is not None and turn.takes(num_tokens, item.cost):
            self._turns.take()
            self.drop(item)
            item.queue_s += item.enter(State.COMPUTING)
            items.append(item)
            num_tokens += item.cost
        return items
