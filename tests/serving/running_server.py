"""A server in a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx

_START_S = 60


class RunningServer:
    """`bertblocks serve`, until the block ends.

    Attributes:
        url: Its address.
        process: Its process.
    """

    def __init__(
        self, model: Path | str, *options: object, environment: dict[str, str] | None = None
    ) -> None:
        command = [sys.executable, "-m", "bertblocks", "serve", model, "--port", 0, "--threads", 1]
        self.process = subprocess.Popen(
            [*map(str, command), "--precision", "float32", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            self.process.wait(_START_S)
            self._reader.join(5)
            raise AssertionError("the server has not started:\n" + "".join(self.lines))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def wait(self) -> int:
        """Wait until it has ended, and all that it wrote has been read; gives its status."""
        status = self.process.wait(30)
        self._reader.join(10)
        return status

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def log(self) -> str:
        """What it has written to stderr."""
        return "".join(self.lines)

    def events(self) -> list[dict[str, Any]]:
        """The lines of its log that are JSON."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def post(self, path: str, body: Any, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=30, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)

    def metric(self, name: str) -> float:
        """The sum of all counts of a name."""
        text = self.get("/metrics").text
        found = re.findall(rf"^bertblocks_{name}(?:{{[^}}]*}})? (\S+)$", text, flags=re.MULTILINE)
        assert found, f"no metric {name}"
        return sum(map(float, found))

    def worker_pid(self) -> int:
        """The number of the worker's process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        assert len(children) == 1, children
        return int(children[0])

    def raw(self, content: bytes, *, timeout_s: float = 20) -> bytes:
        """Send bytes over a connection of their own, and read until the server closes it."""
        with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
            connection.sendall(content)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received

    def wait_for(self, path: str, status: int, *, timeout_s: float = 60) -> httpx.Response:
        """Ask until the answer has a status."""
        end = time.monotonic() + timeout_s
        while True:
            reply = self.get(path)
            if reply.status_code == status:
                return reply
            assert time.monotonic() < end, f"{path} still has status {reply.status_code}: {self.log}"
            time.sleep(0.05)


def memory_mb(pid: int) -> float:
    """The memory of a process that is its own."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", text, flags=re.MULTILINE)[1]) / 1024
