"""Connections: uvicorn's, with limits on headers, idleness and number, and errors that are JSON too."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from bertblocks.serving.problems import Bound, RequestError, error_body
from bertblocks.serving.replies import to_json
from bertblocks.serving.settings import Limits


def connection_class(limits: Limits) -> type[asyncio.Protocol]:
    """The class of connections for a server of these limits."""

    class Connection(H11Protocol):
        """One connection."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._arrival: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            if len(self.connections) >= limits.connections:
                _refuse(transport, len(self.connections), limits)
            super().connection_made(transport)
            self._watch_arrival()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop_watching()

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            # Headers that are not complete, or a body that nobody reads any more since it has its answer.
            is_answered = self.cycle is not None and self.cycle.response_complete
            if self.conn.their_state is h11.IDLE or (is_answered and self.conn.their_state is h11.SEND_BODY):
                self._watch_arrival()
            else:
                self._stop_watching()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.conn.their_state is h11.SEND_BODY:
                self._watch_arrival()

        def timeout_keep_alive_handler(self) -> None:
            # close() would wait for ever for a client that does not read its answer.
            if self.transport.get_write_buffer_size():
                self.transport.abort()
            else:
                super().timeout_keep_alive_handler()

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                # In the middle of an answer there is no place for another.
                self.transport.close()
                return
            error = RequestError(
                400,
                "Validation",
                f"This is no HTTP request, or its first line and headers have more than "
                f"{limits.header_bytes:,} bytes.",
                bound=Bound(name="header_bytes", limit=limits.header_bytes),
            )
            self.transport.write(_raw(error))
            self.transport.close()

        def _watch_arrival(self) -> None:
            if self._arrival is None:
                self._arrival = self.loop.call_later(limits.arrival_s, self._is_late)

        def _stop_watching(self) -> None:
            if self._arrival is not None:
                self._arrival.cancel()
                self._arrival = None

        def _is_late(self) -> None:
            self._arrival = None
            if self.transport.is_closing():
                return
            is_within = self.cycle is not None and not self.cycle.response_complete
            has_begun = bool(self.conn.trailing_data[0])
            if self.conn.their_state is h11.IDLE and has_begun and not is_within:
                self.transport.write(_raw(_late(limits)))
            self.transport.close()

    return Connection


def _late(limits: Limits) -> RequestError:
    return RequestError(
        408,
        "Timeout",
        f"The headers did not come within {limits.arrival_s:g} seconds.",
        bound=Bound(name="arrival_s", limit=limits.arrival_s),
    )


def _refuse(transport: Any, found: int, limits: Limits) -> None:
    error = RequestError(
        503,
        "Overloaded",
        f"{found:,} connections are open, and the limit is {limits.connections:,}.",
        bound=Bound(name="connections", limit=limits.connections, found=found + 1),
        retry_after_s=1,
    )
    transport.write(_raw(error))
    transport.close()


def _raw(error: RequestError) -> bytes:
    """An answer as it goes over the wire, for a connection that is closed afterwards."""
    reasons = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}
    body = to_json(error_body(error, "")).encode("ascii")
    retry = f"retry-after: {error.retry_after_s}\r\n" if error.retry_after_s is not None else ""
    head = (
        f"HTTP/1.1 {error.status} {reasons[error.status]}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
