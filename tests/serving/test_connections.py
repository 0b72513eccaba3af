"""Slow, idle and too many connections, with limits so short that a test can wait for them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

import pytest
import uvicorn
from local_server import LocalServer

from bertblocks.serving.connections import connection_class
from bertblocks.serving.settings import Limits

LIMITS = {"arrival_s": 0.5, "idle_s": 1.0, "connections": 4, "header_bytes": 1000}


@pytest.fixture(scope="module")
def port(served_model):
    """The port of a server of this process."""
    limits = Limits(**LIMITS)
    local = LocalServer(served_model("classes"), **LIMITS)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        local.app, http=connection_class(limits), ws="none", lifespan="off", log_config=None,
        timeout_keep_alive=1, h11_max_incomplete_event_size=limits.header_bytes, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = lambda: __import__("contextlib").nullcontext()
    served = asyncio.run_coroutine_threadsafe(server.serve(sockets=[listening]), local._loop)
    while not server.started:
        time.sleep(0.01)
    yield listening.getsockname()[1]
    server.should_exit = True
    served.result(10)
    local.close()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), 10)


def rest(connection):
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def error_of(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_headers_that_do_not_come(port):
    with connect(port) as connection:
        begin = time.monotonic()
        connection.sendall(b"GET /live HTTP/1.1\r\nho")
        answer = rest(connection)
    assert b" 408 " in answer and error_of(answer)["limit"]["name"] == "arrival_s"
    assert time.monotonic() - begin < 9


def test_headers_that_come_byte_by_byte(port):
    with connect(port) as connection:
        answer = b""
        for byte in b"GET /live HTTP/1.1\r\n" + b"a: b\r\n" * 50:
            try:
                connection.sendall(bytes([byte]))
                connection.settimeout(0.02)
                answer += connection.recv(1000)
                break
            except TimeoutError:
                continue
            except OSError:
                break
    assert b" 408 " in answer


def test_a_connection_that_says_nothing(port):
    with connect(port) as connection:
        assert rest(connection) == b""


def test_a_connection_that_says_nothing_more(port):
    with connect(port) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = rest(connection)
    assert b" 200 " in answer


def test_a_connection_is_used_again(port):
    with connect(port) as connection:
        for _ in range(5):
            connection.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = b""
            while b'"live"' not in answer:
                answer += connection.recv(65536)
            time.sleep(0.15)


def test_a_body_that_nobody_reads_any_more_does_not_go_on_for_ever(port):
    with connect(port) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        begin = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < begin + 8:
                connection.sendall(b"5\r\nhello\r\n")
                time.sleep(0.05)
    assert time.monotonic() < begin + 7


def test_a_body_that_does_not_come(port):
    with connect(port) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        answer = rest(connection)
    assert b" 408 " in answer and error_of(answer)["error_type"] == "Timeout"


def test_too_many_connections(port):
    time.sleep(0.2)
    held = [connect(port) for _ in range(4)]
    try:
        time.sleep(0.1)
        with connect(port) as one_more:
            answer = rest(one_more)
        assert b" 503 " in answer and error_of(answer)["limit"] == {
            "name": "connections",
            "limit": 4,
            "found": 5,
        }
    finally:
        for connection in held:
            connection.close()
    time.sleep(0.2)
    with connect(port) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b" 200 " in rest(connection)


def test_headers_that_are_too_large(port):
    with connect(port) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nhost: x\r\na: " + b"b" * 2000)
        answer = rest(connection)
    assert b" 400 " in answer and error_of(answer)["limit"]["name"] == "header_bytes"


def test_threads_do_not_stay(port):
    assert threading.active_count() < 10
