"""Whose turn it is: clients take turns, and so do the requests of each client."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Items that wait, taken one by one: one of each client, and of a client one of each request.

    A client that sends a thousand texts, or a thousand requests, does so at its own cost: the single text of
    another client is the next but one.

    Args:
        is_live: Whether an item is still wanted; others are passed over.
    """

    def __init__(self, is_live: Callable[[Item], bool]) -> None:
        self._is_live = is_live
        self._clients: OrderedDict[Hashable, OrderedDict[Hashable, deque[Item]]] = OrderedDict()

    def add(self, client: Hashable, request: Hashable, items: Iterable[Item]) -> None:
        """Put items behind those that the request has."""
        requests = self._clients.setdefault(client, OrderedDict())
        waiting = requests.setdefault(request, deque())
        waiting.extend(items)
        if not waiting:
            self._forget(client, request)

    def forget(self, client: Hashable, request: Hashable) -> None:
        """Take all items of a request out."""
        if request in self._clients.get(client, ()):
            self._forget(client, request)

    def next(self) -> Item | None:
        """The item whose turn it is, which stays where it is; None where none is left."""
        while self._clients:
            client, requests = next(iter(self._clients.items()))
            request, waiting = next(iter(requests.items()))
            while waiting and not self._is_live(waiting[0]):
                waiting.popleft()
            if waiting:
                return waiting[0]
            self._forget(client, request)
        return None

    def take(self) -> Item | None:
        """Take the item whose turn it is; its request, and its client, go to the end."""
        item = self.next()
        if item is None:
            return None
        client, requests = next(iter(self._clients.items()))
        request, waiting = next(iter(requests.items()))
        waiting.popleft()
        requests.move_to_end(request)
        self._clients.move_to_end(client)
        if not waiting:
            self._forget(client, request)
        return item

    def __bool__(self) -> bool:
        return self.next() is not None

    def _forget(self, client: Hashable, request: Hashable) -> None:
        requests = self._clients[client]
        del requests[request]
        if not requests:
            del self._clients[client]
