"""What the internet sends: every answer is JSON, and the server goes on as if nothing had been."""

from __future__ import annotations

import gzip
import json
import socket
import time

import httpx
import pytest
from running_server import RunningServer

TEXT = "The film was very good!"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server(folder):
    with RunningServer(folder("classes"), "--timeout-s", 20) as running:
        yield running
        # All that was sent here has done it no harm.
        assert running.post("/predict", {"inputs": TEXT}).status_code == 200
        assert running.metric("worker_starts_total") == 1
        assert running.metric("held_bytes") == 0
        assert running.metric("active_requests") == 1, "this one"
        assert "Traceback" not in running.log and TEXT not in running.log


def is_error(reply: httpx.Response, *statuses: int) -> bool:
    assert reply.status_code in statuses, (reply.status_code, reply.text[:300])
    body = reply.json()
    assert isinstance(body["error"], str) and body["error_type"]
    return True


TEXTS = {
    "NUL": "\0good\0",
    "only NUL": "\0\0\0",
    "a long word": "x" * 99_999,
    "a long word of another script": "語" * 50_000,
    "marks": "a" + "\u0301" * 50_000,
    "right to left": "\u202e\u05d0\u05d1\u05d2",
    "not assigned": "\U000e0001\ufffe\uffff",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 1000,
    "script": "<script>alert(1)</script>' OR 1=1; --",
    "format": "%s%n{0}${jndi:ldap://x}",
    "special tokens": "[CLS] [SEP] [MASK] [PAD]",
    "controls": "".join(map(chr, range(1, 32))) + "x",
    "lines": "a\u2028b\u2029c\r\nd",
}


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_has_an_answer(server, name):
    reply = server.post("/predict", {"inputs": TEXTS[name]})
    assert reply.status_code == 200 and len(reply.json()) == 3


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": "\\ud800"}',
        b'{"inputs": "good \\udfff film \\ud83d"}',
        b'{"inputs": [["\\udc00\\ud800"], ["good"]]}',
    ],
)
def test_halves_of_surrogate_pairs(server, body):
    reply = httpx.post(server.url + "/predict", content=body, headers=JSON, timeout=30)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": {"\\ud800": 1}}',
        b'{"inputs": 1, "\\ud800": 2}',
        b'{"inputs": "x", "truncation_direction": "\\ud800"}',
        b'{"inputs": "x", "parameters": {"function_to_apply": "\\udfff"}}',
        b'{"\\ud800": "\\ud800"}',
    ],
)
def test_halves_of_surrogate_pairs_where_no_text_is(server, body):
    assert is_error(httpx.post(server.url + "/predict", content=body, headers=JSON), 422)


def test_halves_of_surrogate_pairs_come_back_as_they_can(server):
    body = b'{"inputs": ["\\ud800", "good"]}'
    reply = httpx.post(server.url + "/tokenize", content=body, headers=JSON)
    assert reply.status_code == 200 and reply.content.isascii()


DEEP = 200_000
BODIES = {
    "nothing": b"",
    "blanks": b"  \n ",
    "no JSON": b"hello",
    "half": b'{"inputs": "a',
    "two": b'{"inputs": "a"} {"inputs": "b"}',
    "not UTF-8": b'{"inputs": "\xff"}',
    "UTF-16": '{"inputs": "a"}'.encode("utf-16"),
    "with a mark": b'\xef\xbb\xbf{"inputs": "a"}',
    "raw surrogate": b'{"inputs": "\xed\xa0\x80"}',
    "NaN": b'{"inputs": NaN}',
    "infinity": b'{"inputs": "a", "truncate": -Infinity}',
    "digits": b'{"inputs": ' + b"9" * 100_000 + b"}",
    "huge float": b'{"inputs": 1e999}',
    "deep lists": b'{"inputs": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep lists without an end": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "rather deep": b'{"inputs": ' + b"[" * 500 + b"]" * 500 + b"}",
    "controls": b'{"inputs": "\x01"}',
    "many numbers": b'{"inputs": [' + b",".join(b"1" for _ in range(900_000)) + b"]}",
    "many objects": b'{"inputs": [' + b",".join(b"{}" for _ in range(600_000)) + b"]}",
    "empty texts": json.dumps({"inputs": [""] * 10_000}).encode(),
    "empty rows": json.dumps({"inputs": [[""]] * 10_000}).encode(),
    "null": b"null",
    "true": b"true",
    "a number": b"3",
    "a list": b"[]",
}


@pytest.mark.parametrize("path", ["/predict", "/", "/tokenize", "/v1/predict"])
@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_no_request(server, name, path):
    reply = httpx.post(server.url + path, content=BODIES[name], headers=JSON, timeout=30)
    assert is_error(reply, 413, 422)


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_are_no_deployment_request(server, name):
    reply = httpx.post(server.url + "/deployment/x/forward", content=BODIES[name], headers=JSON, timeout=30)
    assert reply.status_code in (413, 422) and set(reply.json()) >= {"errorCode", "errorMessage"}


def test_a_body_of_bombs(server):
    bomb = gzip.compress(b"0" * 50_000_000)
    for encoding in ("gzip", "br", "deflate", "gzip, gzip"):
        reply = httpx.post(
            server.url + "/predict", content=bomb, headers={**JSON, "content-encoding": encoding}, timeout=30
        )
        assert is_error(reply, 415)


def test_a_huge_body_is_refused_before_it_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 10000000000\r\n\r\n"
        )
        answer = b""
        # Head and body may come apart.
        while b"body_bytes" not in answer and (part := connection.recv(65536)):
            answer += part
    assert b" 413 " in answer and b"body_bytes" in answer


def test_a_huge_body_in_chunks(server):
    def parts():
        for _ in range(100):
            yield b" " * 100_000

    reply = httpx.post(server.url + "/predict", content=parts(), headers=JSON, timeout=30)
    assert is_error(reply, 413)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: " + b"b" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\na\0b: c\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n",
        b"GET /live HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http(server, request_bytes):
    answer = server.raw(request_bytes.replace(b"host: x", b"host: x\r\nconnection: close"))
    assert answer.startswith(b"HTTP/1.1 4") and b"application/json" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_several_requests_in_one_go(server):
    body = json.dumps({"inputs": TEXT}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n".encode()
    answer = server.raw((head + b"\r\n" + body) * 3 + head + b"connection: close\r\n\r\n" + body)
    assert answer.count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer \xff"},
        {"authorization": "Basic " + "A" * 10_000},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "\xff"},
        {"accept": "text/html"},
        {"x-forwarded-for": "'; drop table --"},
        {"expect": "100-continue"},
        {"transfer-encoding": "identity"},
    ],
)
def test_headers(server, headers):
    content = json.dumps({"inputs": TEXT}).encode()
    raw = {**JSON, **headers}
    request = b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n" % len(
        content
    )
    request += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in raw.items())
    answer = server.raw(request + b"\r\n" + content)
    statuses = [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses[-1] in (200, 400, 415, 501)


@pytest.mark.parametrize(
    "path",
    [
        "/..%2f..%2fetc/passwd",
        "/%00",
        "/%ff",
        "/predict/",
        "//predict",
        "/deployment/%2e%2e/forward/x",
        "/" + "a/" * 2000,
    ],
)
def test_addresses(server, path):
    answer = server.raw(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    assert b" 404 " in answer.split(b"\r\n")[0] and b'"error' in answer


def test_the_log_holds_no_text_and_no_address(server):
    secret = "a-very-secret-text"
    server.post(f"/predict?q={secret}", {"inputs": secret, "truncation_direction": secret})
    server.get(f"/{secret}")
    server.post("/predict", {"inputs": secret}, headers={"authorization": f"Bearer {secret}"})
    time.sleep(0.2)
    assert secret not in server.log
    assert any(event.get("status") == 404 and event["route"] == "other" for event in server.events())


def test_clients_that_leave(server):
    body = json.dumps({"inputs": [["good " * 50 + str(number)] for number in range(500)]}).encode()
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    for sent in (head, head + body[:1000], head + body):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
                connection.sendall(sent)
    wait_until(lambda: server.metric("active_requests") == 1 and server.metric("queue_texts") == 0)
    assert server.metric("dropped_texts_total") > 0


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
