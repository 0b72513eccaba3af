"""An engine in a process of its own: thread pools, patches and allocators cannot disturb each other."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engines.interface import Engine, Job, Row, Setting, Vectors

_SPAWN = multiprocessing.get_context("spawn")


class EngineFailedError(Exception):
    """What went wrong in an engine's process."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Seconds that vectors took, and the vectors, where they were asked for."""

    seconds: float
    vectors: Vectors | None = None


class EngineProcess:
    """The driver's end of an engine; calls wait for the answer."""

    def __init__(self, row: Row, job: Job) -> None:
        self.row = row
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, row, job), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """The process' number."""
        return self._process.pid or 0

    def wait_until_loaded(self) -> tuple[str, ...]:
        """Wait for the engine to be loaded; its variants."""
        return self._answer()

    def shapes(self, quick: bool) -> list[Setting]:
        """Ways to cut batches that are worth trying."""
        return self._call("shapes", quick)

    def use(self, setting: Setting) -> None:
        """Get ready to run this way."""
        self._call("use", setting)

    def run(self, workload: str, *, half: bool = False, keep: bool = False) -> Timed:
        """Run a workload's ids, or every other text of it; keep asks for the vectors."""
        return self._call("run", workload, half, keep)

    def run_texts(self, workload: str, *, keep: bool = False) -> Timed:
        """The same from texts."""
        return self._call("run_texts", workload, keep)

    def product_share(self, workload: str, repeats: int) -> dict[str, float]:
        """How much of an encoder's time its matrix products take; for bertblocks alone."""
        return self._call("product_share", workload, repeats)

    def memory(self) -> dict[str, float]:
        """Resident memory of the process in MB: the most so far, and now."""
        return self._call("memory")

    def gpu_memory(self) -> float:
        """The most MB of the GPU that tensors took since a setting was chosen; for engines on a GPU."""
        return self._call("gpu_memory")

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _call(self, name: str, *arguments: Any) -> Any:
        self._connection.send((name, arguments))
        return self._answer()

    def _answer(self) -> Any:
        try:
            problem, answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise EngineFailedError(f"its process ended with status {self._process.exitcode}") from None
        if problem is not None:
            raise EngineFailedError(problem)
        return answer


def run_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own, which then ends and leaves no memory behind.

    Raises:
        EngineFailedError: If it fails.
    """
    receiver, sender = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_send_result, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        problem, answer = receiver.recv()
    except EOFError:
        process.join()
        problem, answer = f"its process ended with status {process.exitcode}", None
    process.join()
    if problem is not None:
        raise EngineFailedError(problem)
    return answer


def prepare(row: Row, job: Job) -> None:
    """Convert what a row's engine needs; for run_apart."""
    _limit_threads(job.threads)
    _engine_class(row).prepare(job, **row.options)


def _send_result(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        sender.send((None, function(*arguments)))
    except Exception as error:
        sender.send((_words(error), None))


def _serve(connection: Connection, row: Row, job: Job) -> None:
    """Load the engine, then answer calls until the driver is gone."""
    _limit_threads(job.threads)
    try:
        engine: Engine = _engine_class(row)(job, **row.options)
        session = _Session(engine, job)
        connection.send((None, engine.variants))
    except Exception as error:
        connection.send((_words(error), None))
        return
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send((None, getattr(session, name)(*arguments)))
        except Exception as error:
            connection.send((_words(error), None))


class _Session:
    """What the driver may call."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine = engine
        self._workloads = job.workloads
        self.shapes = engine.shapes
        self.use = engine.use

    def run(self, workload: str, half: bool, keep: bool) -> Timed:
        chosen = self._workloads[workload]
        ids = (chosen.half() if half else chosen).ids
        return _timed(lambda: self._engine.vectors(ids), keep)

    def run_texts(self, workload: str, keep: bool) -> Timed:
        return _timed(lambda: self._engine.encode(self._workloads[workload].texts), keep)

    def product_share(self, workload: str, repeats: int) -> dict[str, float]:
        from products import record_products, replay

        ids = self._workloads[workload].ids
        calls = record_products(self._engine.module, lambda: self._engine.vectors(ids))
        replay(calls)
        whole, products = [], []
        for _ in range(repeats):
            whole.append(_timed(lambda: self._engine.vectors(ids), keep=False).seconds)
            products.append(replay(calls))
        shares = [part / all_ for part, all_ in zip(products, whole, strict=True)]
        flops = sum(call.flops for call in calls)
        return {
            "share": statistics.median(shares),
            "products_gflops": flops / statistics.median(products) / 1e9,
            "encoder_gflops": flops / statistics.median(whole) / 1e9,
        }

    def gpu_memory(self) -> float:
        return self._engine.gpu_memory()

    def memory(self) -> dict[str, float]:
        return {"peak": _status_mb("VmHWM"), "now": _status_mb("VmRSS")}


def _timed(run: Callable[[], Vectors], keep: bool) -> Timed:
    start = time.perf_counter()
    vectors = run()
    timed = Timed(seconds=time.perf_counter() - start, vectors=vectors)
    return timed if keep else replace(timed, vectors=None)


def _engine_class(row: Row) -> Any:
    module, name = row.engine.rsplit(".", 1)
    return getattr(importlib.import_module(f"engines.{module}"), name)


def _limit_threads(threads: int) -> None:
    """For all libraries alike, before any of them is loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["HF_HUB_OFFLINE"] = "1"


def _status_mb(field: str) -> float:
    """A line of the kernel's account of this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"The kernel does not tell {field}.")


def _words(error: Exception) -> str:
    """One line for the tables; the whole for whoever watches."""
    traceback.print_exception(error)
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first[:200]
