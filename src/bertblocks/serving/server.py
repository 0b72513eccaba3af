"""A server from its start to its end: model, socket, requests, and a stop that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from bertblocks._words import counted
from bertblocks.errors import BertBlocksError
from bertblocks.serving.app import build_app
from bertblocks.serving.connections import connection_class
from bertblocks.serving.engine import Engine
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.load import Load
from bertblocks.serving.logs import begin_logging, log
from bertblocks.serving.messages import Start
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.problems import unavailable
from bertblocks.serving.service import Service
from bertblocks.serving.settings import ServerSettings
from bertblocks.serving.supervisor import Supervisor

_BACKLOG = 2048
# For answers on their way when everything is done, and for connections that say nothing.
_LAST_S = 1

OnReady = Callable[[ModelFacts, str], None]


def serve(settings: ServerSettings, on_ready: OnReady) -> None:
    """Serve until a signal says to stop; returns when everything that was accepted is answered.

    Args:
        settings: What, where, and how much.
        on_ready: Called with the model and the server's address when requests are taken.

    Raises:
        BertBlocksError: If the model cannot be loaded, or the address cannot be used.
    """
    begin_logging(access_log=settings.access_log)
    # Before the model, which takes its time.
    listening = _bind(settings.host, settings.port)
    try:
        asyncio.run(_serve(settings, listening, on_ready))
    finally:
        listening.close()


async def _serve(settings: ServerSettings, listening: socket.socket, on_ready: OnReady) -> None:
    limits, metrics = settings.limits, Metrics()
    engine = Engine(limits, metrics)
    load = Load(limits, engine.retry_after_s)
    start = Start(settings.model, settings.precision, settings.device, settings.threads, limits.batch_tokens)
    supervisor = Supervisor(start, engine, metrics, limits.worker_s)
    try:
        facts = await supervisor.begin()
        metrics.follow(metrics.active_requests, lambda: load.num_requests)
        metrics.follow(metrics.held_bytes, lambda: load.held_bytes)
        metrics.follow(metrics.queue_texts, lambda: engine.num_texts)
        metrics.follow(metrics.queue_tokens, lambda: engine.waiting_tokens)
        metrics.follow(metrics.ready, lambda: float(engine.is_ready and not load.is_stopping))
        app = build_app(Service(facts, limits, engine, metrics, load), settings)
        config = uvicorn.Config(
            app,
            http=connection_class(limits),
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=int(limits.idle_s) or 1,
            timeout_graceful_shutdown=_LAST_S,
            h11_max_incomplete_event_size=limits.header_bytes,
            backlog=_BACKLOG,
        )

        def tell() -> None:
            address = _address(listening)
            log("serving", model=facts.name, address=address, precision=facts.precision)
            on_ready(facts, address)

        await _Server(config, engine, load, limits.drain_s, tell).serve(sockets=[listening])
    finally:
        await supervisor.end()
    log("stopped")


class _Server(uvicorn.Server):
    """uvicorn's server, which at a signal first finishes what was accepted."""

    def __init__(
        self, config: uvicorn.Config, engine: Engine, load: Load, drain_s: float, tell: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._tell = tell
        self._engine = engine
        self._load = load
        self._drain_s = drain_s
        self._loop = asyncio.get_running_loop()
        self._draining: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and only then tell of it."""
        await super().startup(sockets)
        self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: the first begins to stop, an interrupt after it stops at once."""
        if self._load.is_stopping and sig == signal.SIGINT:
            self._loop.call_soon_threadsafe(self._hurry.set)
            return
        self._load.is_stopping = True
        self._loop.call_soon_threadsafe(self._begin_to_drain, signal.Signals(sig).name)

    def _begin_to_drain(self, name: str) -> None:
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain(name))

    async def _drain(self, name: str) -> None:
        log("stopping", signal=name, requests=self._load.num_requests)
        if not await self._load.wait_until_idle(self._drain_s, self._hurry):
            left = counted(self._load.num_requests, "request")
            log("not all was finished in time", level=logging.WARNING, requests=self._load.num_requests)
            # They get an answer all the same.
            self._engine.give_up(
                unavailable(f"The server was stopped, and did not come to the end of {left} in time.")
            )
            await self._load.wait_until_idle(_LAST_S)
        self.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    """Take the address.

    Raises:
        BertBlocksError: If it cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BertBlocksError(
            f"The address {host}, port {port}, cannot be used: {reason}. Choose another --host or --port."
        ) from error
    listening.set_inheritable(False)
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
