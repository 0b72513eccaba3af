"""What every request passes: who may ask, how much is taken, what goes wrong, and what is written down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bertblocks.serving.access import Access
from bertblocks.serving.load import Load
from bertblocks.serving.logs import log
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.problems import Bound, RequestError
from bertblocks.serving.replies import error_reply
from bertblocks.serving.settings import Limits

_LOG = logging.getLogger("bertblocks.serving")

# Answers larger than this go out in parts, so that a client that does not read them is noticed.
_PART_BYTES = 1 << 18
# What nginx writes down where the client has left.
_CLIENT_LEFT = 499
_SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)

Unauthorized = Callable[[Scope], Response | None]


class Gate:
    """An ASGI application around the routes.

    Args:
        app: The routes; a RequestError that they raise is answered here.
        access: Who may ask.
        open_paths: Where everybody may.
        limits: How much is taken.
        load: How much there is to do.
        metrics: Where requests are counted.
        access_log: Whether requests are written down; those that fail at the server always are.
        greeting: Gives what somebody without a token is answered where that is no error as others have it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        open_paths: frozenset[str],
        limits: Limits,
        load: Load,
        metrics: Metrics,
        access_log: bool,
        greeting: Unauthorized,
    ) -> None:
        self._app = app
        self._access = access
        self._open_paths = open_paths
        self._limits = limits
        self._load = load
        self._metrics = metrics
        self._access_log = access_log
        self._greeting = greeting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["bertblocks.begin"] = asyncio.get_running_loop().time()
        scope["bertblocks.perf"] = time.perf_counter()
        reply = _Reply(scope, send, self._load, self._limits.timeout_s)
        is_open = scope["path"] in self._open_paths
        problem: RequestError | None = None
        counted = False
        try:
            _check_head(scope, self._limits)
            if not is_open:
                self._check_access(scope)
                # Who asks whether it is alive should hear it from a server that has too much to do, too.
                self._load.begin()
                counted = True
            await self._app(scope, receive, reply)
        except RequestError as error:
            problem = error
        except (ClientDisconnect, _SlowReaderError):
            reply.status = reply.status or _CLIENT_LEFT
        except Exception:
            _LOG.error("a request failed", exc_info=True)
            problem = RequestError(500, "Backend", "The server failed at this request; its log says where.")
        try:
            if problem is not None:
                await self._refuse(problem, scope, receive, reply)
        except (ClientDisconnect, _SlowReaderError):
            reply.status = reply.status or _CLIENT_LEFT
        finally:
            if counted:
                self._load.end(scope)
            self._write_down(scope, reply.status, problem)

    def _check_access(self, scope: Scope) -> None:
        number = self._access.number_of(_header(scope, b"authorization"))
        if number is None:
            raise RequestError(
                401,
                "Access",
                "A token is needed: send it as 'Authorization: Bearer TOKEN', or as the name of the user.",
            )
        scope["bertblocks.token"] = number

    async def _refuse(self, problem: RequestError, scope: Scope, receive: Receive, reply: _Reply) -> None:
        if reply.is_begun:
            # Too late for another answer: that this one is broken off tells of it.
            raise RuntimeError("An answer failed after it had begun.") from problem
        response = self._greeting(scope) if problem.status == 401 else None
        await (response or error_reply(scope["path"], problem))(scope, receive, reply)

    def _write_down(self, scope: Scope, status: int, problem: RequestError | None) -> None:
        seconds = time.perf_counter() - scope["bertblocks.perf"]
        route = scope.get("bertblocks.route", "other")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        kind = problem.kind if problem is not None else ("ClientLeft" if status == _CLIENT_LEFT else None)
        if kind is not None:
            self._metrics.errors.labels(kind).inc()
        if not self._access_log and status < 500:
            return
        log(
            "request",
            level=logging.ERROR if status == 500 else logging.INFO,
            method=scope["method"] if scope["method"].isalpha() else "?",
            route=route,
            status=status,
            ms=round(1000 * seconds, 1),
            **({"kind": kind} if kind else {}),
            **({"limit": problem.bound.name} if problem is not None and problem.bound else {}),
        )


class _SlowReaderError(Exception):
    """A client that does not take its answer."""


class _Reply:
    """Sends an answer: with headers that make a browser careful, in parts, and not for ever."""

    def __init__(self, scope: MutableMapping[str, Any], send: Send, load: Load, timeout_s: float) -> None:
        self._scope = scope
        self._send = send
        self._load = load
        self._timeout_s = timeout_s
        self.is_begun = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_begun = True
            self.status = message["status"]
            headers = [*message.get("headers", []), *_SECURITY]
            if self._load.is_stopping:
                headers.append((b"connection", b"close"))
            await self._send({**message, "headers": headers})
            return
        body = message.get("body", b"")
        if len(body) <= _PART_BYTES:
            await self._send(message)
            return
        self._load.add(self._scope, len(body))
        for start in range(0, len(body), _PART_BYTES):
            part = body[start : start + _PART_BYTES]
            is_last = start + _PART_BYTES >= len(body)
            more = bool(message.get("more_body", False)) or not is_last
            await self._in_time(self._send({"type": "http.response.body", "body": part, "more_body": more}))

    async def _in_time(self, sending: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(sending, self._timeout_s)
        except asyncio.TimeoutError as error:
            raise _SlowReaderError from error


def _check_head(scope: Scope, limits: Limits) -> None:
    """Refuse headers that came in one go, and are too large all the same."""
    num_bytes = len(scope["raw_path"]) + len(scope["query_string"])
    # A line has ": " and its end besides.
    num_bytes += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    if num_bytes > limits.header_bytes:
        raise RequestError(
            431,
            "Validation",
            f"Address and headers have {num_bytes:,} bytes, and the limit is {limits.header_bytes:,}.",
            bound=Bound(name="header_bytes", limit=limits.header_bytes, found=num_bytes),
            close=True,
        )


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None
