"""A worker that is killed, stuck or cannot load: it is seen, answered for, and another one comes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from running_server import RunningServer

from bertblocks.serving.supervisor import _is_another

TEXT = "The film was very good!"


@pytest.fixture(scope="module")
def server(folder):
    with RunningServer(folder("classes"), "--worker-s", 2, "--timeout-s", 30) as running:
        yield running


class Load:
    """Clients that ask one text after another, each another one, until they are told to stop."""

    def __init__(self, server: RunningServer, num_clients: int = 8, *, texts: int = 1) -> None:
        self.statuses: list[int | str] = []
        self.wrong: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(server.url, number, texts))
            for number in range(num_clients)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str, number: int, texts: int) -> None:
        count = 0
        with httpx.Client(base_url=url, timeout=60) as client:
            while not self._stop.is_set():
                count += 1
                rows = [[f"good {number} {count} {row} " * 5] for row in range(texts)]
                try:
                    reply = client.post("/predict", json={"inputs": rows})
                except httpx.TransportError as error:
                    self.statuses.append(type(error).__name__)
                    return
                self.statuses.append(reply.status_code)
                if reply.status_code == 200 and len(reply.json()) != texts:
                    self.wrong.append(reply.text)
                if reply.status_code == 503:
                    assert (
                        reply.json()["error_type"] == "Unhealthy" and int(reply.headers["retry-after"]) >= 1
                    )
                    time.sleep(0.05)

    def wait_for(self, count: int) -> None:
        end = time.monotonic() + 30
        while len(self.statuses) < count:
            assert time.monotonic() < end
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads)


def test_a_killed_worker_is_answered_for_and_another_one_comes(server):
    starts = server.metric("worker_starts_total")
    load = Load(server)
    load.wait_for(50)
    pid = server.worker_pid()
    os.kill(pid, signal.SIGKILL)
    server.wait_for("/health", 503)
    assert server.get("/live").status_code == 200
    server.wait_for("/health", 200)
    load.wait_for(len(load.statuses) + 20)
    load.stop()
    assert set(load.statuses) <= {200, 503} and 200 in load.statuses and not load.wrong
    assert server.worker_pid() != pid
    assert server.metric("worker_starts_total") == starts + 1
    assert any("SIGKILL" in event.get("reason", "") for event in server.events())


def test_a_stopped_worker_is_seen_and_replaced(server):
    pid = server.worker_pid()
    os.kill(pid, signal.SIGSTOP)
    reply = server.post("/predict", {"inputs": TEXT})
    assert reply.status_code == 503 and "no answer for 2 seconds" in reply.json()["error"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    server.wait_for("/health", 200)
    assert server.post("/predict", {"inputs": TEXT}).status_code == 200


def test_a_stopped_worker_is_seen_though_nobody_asks(server):
    starts = server.metric("worker_starts_total")
    os.kill(server.worker_pid(), signal.SIGSTOP)
    end = time.monotonic() + 60
    while server.metric("worker_starts_total") == starts:
        assert time.monotonic() < end
        time.sleep(0.1)
    server.wait_for("/health", 200)


def test_a_worker_ends_with_its_server(server):
    pid = server.worker_pid()
    server.process.kill()
    server.process.wait()
    end = time.monotonic() + 20
    status = Path(f"/proc/{pid}/stat")
    # Where nobody waits for it, it stays as a zombie.
    while status.exists() and " Z " not in status.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_model_that_is_gone_is_waited_for(folder, tmp_path):
    shutil.copytree(folder("classes"), tmp_path / "model")
    with RunningServer(tmp_path / "model", "--worker-s", 5) as server:
        shutil.rmtree(tmp_path / "model")
        os.kill(server.worker_pid(), signal.SIGKILL)
        end = time.monotonic() + 60
        while not any(event["event"] == "worker not started" for event in server.events()):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.get("/health").status_code == 503
        assert server.post("/predict", {"inputs": TEXT}).status_code == 503
        shutil.copytree(folder("classes"), tmp_path / "model")
        server.wait_for("/health", 200)
        assert server.post("/predict", {"inputs": TEXT}).status_code == 200


def test_another_model_in_its_place_is_not_served(served_model):
    facts = {name: served_model(name).facts for name in ("classes", "windows", "binary", "encoder")}
    assert not _is_another(facts["classes"], replace(facts["classes"], precision="int8", num_lanes=9))
    assert _is_another(facts["classes"], facts["binary"]) and _is_another(facts["classes"], facts["encoder"])
    assert _is_another(facts["classes"], replace(facts["classes"], labels=("good", "bad", "colour")))


def test_a_model_that_cannot_be_loaded_ends_the_start(tmp_path):
    command = [sys.executable, "-m", "bertblocks", "serve", str(tmp_path / "missing"), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert ended.returncode == 2 and ended.stdout == "", ended.stderr
    assert "error: " in ended.stderr and "missing" in ended.stderr and "Traceback" not in ended.stderr
