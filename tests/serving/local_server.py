"""The whole application with a real model, but without processes and sockets."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx

from bertblocks.serving.app import build_app
from bertblocks.serving.engine import Engine
from bertblocks.serving.load import Load
from bertblocks.serving.messages import Compute, Computed, Tokenize, Tokenized
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.service import Service
from bertblocks.serving.settings import Limits, ServerSettings


class DirectWorker:
    """Stands in for a worker's process: answers soon, on the same event loop."""

    def __init__(self, model: Any, engine: Engine) -> None:
        self._model = model
        self._engine = engine
        self.batches: list[Compute] = []

    def send(self, message: Any) -> None:
        asyncio.get_running_loop().call_soon(self._answer, message)

    def _answer(self, message: Any) -> None:
        if isinstance(message, Tokenize):
            self._engine.take(Tokenized(message.number, self._model.tokenize(message.texts), 0.001))
        else:
            self.batches.append(message)
            values = self._model.compute(message.wants, message.rows)
            self._engine.take(Computed(message.number, values, 0.001))


class LocalServer:
    """An application that is asked by plain calls; the event loop runs in a thread."""

    def __init__(self, model: Any, *, tokens: tuple[str, ...] = (), **limits: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.limits = Limits(**limits)
        self.metrics = Metrics()
        self.engine = Engine(self.limits, self.metrics)
        self.load = Load(self.limits, self.engine.retry_after_s)
        self.service = Service(model.facts, self.limits, self.engine, self.metrics, self.load)
        settings = ServerSettings(model="here", tokens=tokens, access_log=False, limits=self.limits)
        self.app = build_app(self.service, settings)
        self.worker = DirectWorker(model, self.engine)
        self.run(self._start(model))

    async def _start(self, model: Any) -> None:
        self.engine.start(self.worker, model.facts.num_lanes, model.facts.batch_tokens)

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                return await client.request(method, path, **options)

        return self.run(ask())

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return self.ask("POST", path, json=body, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
