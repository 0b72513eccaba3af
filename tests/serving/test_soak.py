"""A server that is asked for long does not grow."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from running_server import RunningServer, memory_mb

REQUESTS = 100_000
CLIENTS = 8


def ask(port: int, number: int, count: int, wrong: list[bytes]) -> None:
    """Ask again and again over one connection: texts, pairs, nonsense."""
    with (
        socket.create_connection(("127.0.0.1", port), 60) as connection,
        connection.makefile("rb") as answers,
    ):
        for index in range(count):
            inputs = f"good film {number} {index}" if index % 10 else [["x"] * 3, 5, f"{index}"]
            body = json.dumps({"inputs": inputs}).encode()
            head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body)
            status = answers.readline()
            length = 0
            while (line := answers.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            answers.read(length)
            if (b" 200 " in status) != bool(index % 10):
                wrong.append(status)


@pytest.mark.long
def test_memory_does_not_grow_with_the_requests(folder):
    with RunningServer(folder("classes"), "--no-access-log") as server:
        pids = (server.process.pid, server.worker_pid())
        seen = []
        for _ in range(5):
            wrong: list[bytes] = []
            share = REQUESTS // CLIENTS // 5
            threads = [
                threading.Thread(target=ask, args=(server.port, number, share, wrong))
                for number in range(CLIENTS)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert not wrong
            seen.append([memory_mb(pid) for pid in pids])
        assert server.metric("requests_total") > REQUESTS * 0.99
        for first, last in zip(seen[1], seen[-1], strict=True):
            assert last - first < 8, seen
