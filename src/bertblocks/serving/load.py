"""How much a server is doing: requests, and the bytes that it holds for them. What is too much is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from bertblocks._words import counted
from bertblocks.serving.problems import Bound, overloaded, unavailable
from bertblocks.serving.settings import Limits

_HELD = "bertblocks.held_bytes"


class Load:
    """Counts requests from their headers to the end of their answers.

    Args:
        limits: What may be.
        retry_after_s: How long those that are refused should wait.

    Attributes:
        num_requests: Requests that are read or answered.
        held_bytes: Bytes of their bodies and answers.
        is_stopping: Whether nothing new is taken any more.
    """

    def __init__(self, limits: Limits, retry_after_s: Callable[[], int]) -> None:
        self._limits = limits
        self._retry_after_s = retry_after_s
        self.num_requests = 0
        self.held_bytes = 0
        self.is_stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        """A request comes.

        Raises:
            RequestError: If the server is stopping, or there are too many; then it is not counted.
        """
        if self.is_stopping:
            raise unavailable("The server is being stopped and takes nothing new.", retry_after_s=5)
        most = self._limits.concurrent_requests
        if self.num_requests >= most:
            raise overloaded(
                f"{counted(self.num_requests, 'request is', 'requests are')} being answered, and the limit "
                f"is {most:,}: try again later.",
                Bound(name="concurrent_requests", limit=most, found=self.num_requests + 1),
                self._retry_after_s(),
            )
        self.num_requests += 1
        self._idle.clear()

    def hold(self, scope: MutableMapping[str, Any], num_bytes: int) -> None:
        """A request's body grows.

        Raises:
            RequestError: If all bodies and answers together are too large.
        """
        most = self._limits.held_bytes
        if self.held_bytes + num_bytes > most:
            raise overloaded(
                f"The bodies and answers of all requests have {self.held_bytes:,} bytes, and the limit is "
                f"{most:,}: try again later.",
                Bound(name="held_bytes", limit=most, found=self.held_bytes + num_bytes),
                self._retry_after_s(),
            )
        self.add(scope, num_bytes)

    def add(self, scope: MutableMapping[str, Any], num_bytes: int) -> None:
        """Bytes that are there in any case: an answer."""
        self.held_bytes += num_bytes
        scope[_HELD] = scope.get(_HELD, 0) + num_bytes

    def end(self, scope: MutableMapping[str, Any]) -> None:
        """A request is answered, or given up."""
        self.held_bytes -= scope.pop(_HELD, 0)
        self.num_requests -= 1
        if not self.num_requests:
            self._idle.set()

    async def wait_until_idle(self, timeout_s: float, hurry: asyncio.Event | None = None) -> bool:
        """Wait until no request is left.

        Args:
            timeout_s: How long at most.
            hurry: Ends the waiting when it is set.

        Returns:
            Whether it came about.
        """
        waits = [asyncio.ensure_future(event.wait()) for event in (self._idle, hurry) if event is not None]
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return self._idle.is_set()
