"""Servers that are measured, each a process of its own that ends with its block."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_S = 300.0
# One after another: the first that its version has.
_INFINITY_BATCHES = ("--batch-size", "32")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server takes a text.

    Attributes:
        url: Of the route.
        field: What it calls the text.
    """

    url: str
    field: str


@contextmanager
def bertblocks_server(folder: Path, precision: str, threads: int) -> Iterator[Address]:
    """`bertblocks serve`."""
    port = _free_port()
    command = [sys.executable, "-m", "bertblocks", "serve", str(folder), "--port", str(port)]
    command += ["--precision", precision, "--threads", str(threads), "--no-access-log"]
    with _running(command, f"http://127.0.0.1:{port}/health", dict(os.environ)):
        yield Address(url=f"http://127.0.0.1:{port}/embed", field="inputs")


@contextmanager
def infinity_server(python: str, folder: Path, threads: int, engine: str) -> Iterator[Address]:
    """infinity-emb, of an environment of its own: it needs a numpy below 2.

    Args:
        python: That environment's Python.
        folder: The encoder.
        threads: For all libraries.
        engine: "optimum" runs onnxruntime; "torch" is the other one that a CPU has.
    """
    port = _free_port()
    command = [python, "-m", "infinity_emb", "v2", "--model-id", str(folder), "--engine", engine]
    command += ["--device", "cpu", "--port", str(port), "--no-bettertransformer", *_INFINITY_BATCHES]
    environment = {**os.environ, "INFINITY_ANONYMOUS_USAGE_STATS": "0", "DO_NOT_TRACK": "1"}
    environment |= {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with _running(command, f"http://127.0.0.1:{port}/health", environment):
        yield Address(url=f"http://127.0.0.1:{port}/embeddings", field="input")


@contextmanager
def _running(command: list[str], health: str, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _START_S
        while not _is_ready(health):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{command[2]} has not started; its own words are above.")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
