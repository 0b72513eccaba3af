"""The server's end of a worker: a process that is started, written to, listened to and ended."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from bertblocks.serving.access import TOKENS_VARIABLE
from bertblocks.serving.messages import HEADER_BYTES, FromWorker, Start, ToWorker, length_of, packed
from bertblocks.serving.worker import PROGRAM, greeting

_END_S = 2.0


class WorkerProcess:
    """One worker.

    Args:
        on_message: Called with each of its messages.

    Attributes:
        ended: Has a result, in words, when the process has ended: "The worker was killed by signal 9".
        heard_at: When it last said anything, as time.monotonic tells it.
    """

    def __init__(self, on_message: Callable[[FromWorker], None]) -> None:
        self._on_message = on_message
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._why: str | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.heard_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process is not None, "the process has been begun"
        return self._process.pid

    async def begin(self, start: Start) -> None:
        """Start the process; its first message tells whether it could load its model."""
        # Who may ask is none of its business.
        environment = {name: value for name, value in os.environ.items() if name != TOKENS_VARIABLE}
        if start.threads is not None:
            environment["OMP_NUM_THREADS"] = str(start.threads)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            limit=1 << 20,
        )
        self._write(greeting(start))
        self._reader = asyncio.ensure_future(self._read())

    def send(self, message: ToWorker) -> None:
        """Hand a message over, without waiting; one that has ended hears nothing."""
        self._write(packed(message))

    def kill(self, why: str) -> None:
        """End the process at once.

        Args:
            why: What `ended` then says.
        """
        self._why = self._why or why
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def end(self) -> None:
        """Let the process end, and make it end where it does not."""
        if self._process is None or self._process.stdin is None:
            return
        self._why = self._why or "The worker was told to end"
        self._process.stdin.close()
        done, _ = await asyncio.wait([self.ended], timeout=_END_S)
        if not done:
            self.kill(self._why)
            await self.ended

    def _write(self, content: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None, "the process has been begun"
        if not self._process.stdin.is_closing():
            self._process.stdin.write(content)

    async def _read(self) -> None:
        """Listen until the process has ended."""
        assert self._process is not None and self._process.stdout is not None, "the process has been begun"
        stdout = self._process.stdout
        try:
            while True:
                header = await stdout.readexactly(HEADER_BYTES)
                # A process of ours, at the other end of a pipe of ours.
                message: Any = pickle.loads(await stdout.readexactly(length_of(header)))
                self.heard_at = time.monotonic()
                self._on_message(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            # Where it only has closed its pipe, or said what cannot be understood, it is of no use either.
            if self._process.returncode is None:
                await self._wait_or_kill()
            if not self.ended.done():
                self.ended.set_result(self._why or _in_words(self._process.returncode))

    async def _wait_or_kill(self) -> None:
        assert self._process is not None, "the process has been begun"
        try:
            await asyncio.wait_for(self._process.wait(), _END_S)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()


def _in_words(status: int | None) -> str:
    if status is not None and status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"The worker was ended by {name}"
    return f"The worker ended with status {status}"
