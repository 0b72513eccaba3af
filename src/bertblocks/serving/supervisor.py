"""Keeps a worker at work: starts it, watches it, and starts another one where it ends or is stuck."""

from __future__ import annotations

import asyncio
import logging
import time

from bertblocks.errors import BertBlocksError, ConfigError
from bertblocks.serving.engine import Engine
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.logs import log
from bertblocks.serving.messages import (
    Computed,
    FromWorker,
    Loaded,
    NotLoaded,
    Ping,
    Start,
    Tokenized,
)
from bertblocks.serving.metrics import Metrics
from bertblocks.serving.process import WorkerProcess

_MOST_LOADING_S = 900.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
# A worker that has lived so long was well: the next one is started at once.
_WELL_S = 30.0


class Supervisor:
    """The worker of a server.

    Args:
        start: What the worker is told.
        engine: Gets the worker, and its answers.
        metrics: Where starts are counted.
        worker_s: Seconds without a sign of life after which it is taken for stuck.
    """

    def __init__(self, start: Start, engine: Engine, metrics: Metrics, worker_s: float) -> None:
        self._start = start
        self._engine = engine
        self._metrics = metrics
        self._worker_s = worker_s
        self._process: WorkerProcess | None = None
        self._loaded: asyncio.Future[ModelFacts] | None = None
        self._facts: ModelFacts | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the worker's process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def begin(self) -> ModelFacts:
        """Start the first worker, and wait until it has loaded its model.

        Raises:
            BertBlocksError: If it cannot; the message is the worker's.
        """
        self._facts = await self._launch()
        # The next ones need not measure again what this one has measured.
        self._start = self._start._replace(precision=self._facts.precision)
        self._task = asyncio.ensure_future(self._keep())
        return self._facts

    async def end(self) -> None:
        """End the worker, for good."""
        if self._task is not None:
            self._task.cancel()
        if self._process is not None:
            await self._process.end()

    async def _launch(self) -> ModelFacts:
        """Start a worker and wait until it is ready."""
        self._metrics.worker_starts.inc()
        self._loaded = asyncio.get_running_loop().create_future()
        self._process = process = WorkerProcess(self._take)
        await process.begin(self._start)
        await asyncio.wait(
            (self._loaded, process.ended), timeout=_MOST_LOADING_S, return_when=asyncio.FIRST_COMPLETED
        )
        if not self._loaded.done():
            process.kill(f"The worker did not load its model within {_MOST_LOADING_S:g} seconds")
            raise BertBlocksError(f"{await process.ended} before it had loaded its model.")
        facts = self._loaded.result()
        if self._facts is not None and _is_another(self._facts, facts):
            process.kill("The model's folder has been changed")
            raise BertBlocksError("The model's folder holds another model now: start the server again.")
        self._engine.start(process, facts.num_lanes, facts.batch_tokens)
        return facts

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, Tokenized | Computed):
            self._engine.take(message)
        elif isinstance(message, Loaded) and self._loaded is not None:
            self._loaded.set_result(message.facts)
        elif isinstance(message, NotLoaded) and self._loaded is not None:
            kind = ConfigError if message.is_callers else BertBlocksError
            self._loaded.set_exception(kind(message.message))

    async def _keep(self) -> None:
        """Watch the worker, and start another one whenever it is gone."""
        pause_s = 0.0
        while True:
            begun = time.monotonic()
            reason = await self._until_ended()
            log("worker lost", level=logging.ERROR, reason=reason)
            self._engine.lose_worker(reason)
            pause_s = 0.0 if time.monotonic() - begun > _WELL_S else _next(pause_s)
            while True:
                await asyncio.sleep(pause_s)
                try:
                    await self._launch()
                except (BertBlocksError, OSError) as error:
                    pause_s = _next(pause_s)
                    log("worker not started", level=logging.ERROR, reason=str(error), next_try_s=pause_s)
                    continue
                log("worker started", pid=self.pid)
                break

    async def _until_ended(self) -> str:
        """Wait until the worker has ended, and end it where it is stuck."""
        process = self._process
        assert process is not None, "a worker has been started"
        interval_s = min(1.0, self._worker_s / 4)
        asked_at: float | None = None
        while True:
            done, _ = await asyncio.wait([process.ended], timeout=interval_s)
            if done:
                return process.ended.result()
            if asked_at is None or process.heard_at >= asked_at:
                asked_at = time.monotonic()
                process.send(Ping())
            silent_s = time.monotonic() - max(process.heard_at, asked_at - interval_s)
            if silent_s > self._worker_s or self._engine.overdue_s(self._worker_s) > 0:
                process.kill(f"The worker gave no answer for {self._worker_s:g} seconds and was ended")


def _next(pause_s: float) -> float:
    return min(_LONGEST_PAUSE_S, max(_SHORTEST_PAUSE_S, 2 * pause_s))


def _is_another(before: ModelFacts, now: ModelFacts) -> bool:
    return (before.task, before.labels, before.inputs, before.target, before.hidden_size) != (
        now.task,
        now.labels,
        now.inputs,
        now.target,
        now.hidden_size,
    )
