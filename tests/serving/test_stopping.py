"""A server that is told to stop finishes what it has accepted, and says no to the rest."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import httpx
from running_server import RunningServer
from test_worker_failures import Load

TEXT = "The film was very good!"


def asked(server: RunningServer, body: object) -> tuple[threading.Thread, list[httpx.Response]]:
    """A request in a thread, and where its answer will be."""
    found: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: found.append(server.post("/predict", body)))
    thread.start()
    return thread, found


def wait_until_it_is_there(server: RunningServer) -> None:
    end = time.monotonic() + 20
    while not server.metric("queue_texts"):
        assert time.monotonic() < end


def test_under_load_every_accepted_request_is_answered(folder):
    with RunningServer(folder("classes")) as server:
        load = Load(server, num_clients=16, texts=4)
        load.wait_for(100)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        load.stop()
        # Answered, refused with a word, or never accepted: the connection was closed before the request came.
        not_accepted = {"RemoteProtocolError", "ConnectError", "ReadError", "WriteError"}
        assert set(load.statuses) <= {200, 503} | not_accepted and not load.wrong
        events = server.events()
        answered = sum(event.get("status") == 200 for event in events if event["event"] == "request")
        # One of them is the question for the address.
        assert load.statuses.count(200) == answered
        told = [event["event"] for event in events if event["event"] != "request"]
        assert told == ["serving", "stopping", "stopped"] and "Traceback" not in server.log


def test_what_was_accepted_is_finished_while_new_requests_are_refused(folder):
    with RunningServer(folder("classes")) as server:
        idle = socket.create_connection(("127.0.0.1", server.port), 10)
        # So many tokens that they take a moment.
        rows = [[f"good {number} " * 12] for number in range(1000)]
        asking, found = asked(server, {"inputs": rows})
        wait_until_it_is_there(server)
        server.process.send_signal(signal.SIGTERM)
        asking.join(30)
        assert server.wait() == 0
        idle.close()
        assert found[0].status_code == 200 and len(found[0].json()) == 1000
        assert found[0].headers["connection"] == "close"


def test_what_cannot_be_finished_in_time_has_an_answer_too(folder):
    with RunningServer(folder("classes"), "--drain-s", 0.1) as server:
        os.kill(server.worker_pid(), signal.SIGSTOP)
        asking, found = asked(server, {"inputs": TEXT})
        wait_until_it_is_there(server)
        server.process.send_signal(signal.SIGTERM)
        asking.join(30)
        assert server.wait() == 0
        assert found[0].status_code == 503 and "stopped" in found[0].json()["error"]
        assert any("in time" in event["event"] for event in server.events())


def test_a_second_interrupt_waits_for_nothing(folder):
    with RunningServer(folder("classes"), "--drain-s", 600) as server:
        os.kill(server.worker_pid(), signal.SIGSTOP)
        asking, found = asked(server, {"inputs": TEXT})
        wait_until_it_is_there(server)
        server.process.send_signal(signal.SIGINT)
        refused = server.wait_for("/health", 503)
        assert refused.headers["connection"] == "close" and server.process.poll() is None
        server.process.send_signal(signal.SIGINT)
        asking.join(30)
        assert server.wait() == 0 and "Traceback" not in server.log
        assert found[0].status_code == 503
        assert server.events()[-1]["event"] == "stopped"
