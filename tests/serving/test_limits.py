"""Everything above a limit is refused with an error that names it, and nothing is held for it afterwards."""

from __future__ import annotations

import asyncio

import pytest

TEXT = "The film was very good!"


def limit_of(reply):
    found = reply.json()
    return found["limit"]["name"], found["limit"]["limit"], found["limit"]["found"]


def nothing_is_left(server):
    return (server.load.num_requests, server.load.held_bytes, server.engine.num_texts) == (0, 0, 0)


def test_a_large_body(local):
    server = local("classes", body_bytes=1000)
    reply = server.post("/predict", {"inputs": "good " * 300})
    assert reply.status_code == 413 and limit_of(reply)[:2] == ("body_bytes", 1000)
    assert limit_of(reply)[2] > 1000 and nothing_is_left(server)


def test_a_large_body_whose_size_nobody_has_told(local):
    async def parts():
        for _ in range(100):
            yield b"x" * 100

    server = local("classes", body_bytes=1000)
    reply = server.ask("POST", "/predict", content=parts())
    assert reply.status_code == 413 and limit_of(reply)[0] == "body_bytes"
    assert nothing_is_left(server)


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("classes", "/predict", {"inputs": [["good"]] * 5}),
        ("classes", "/v1/predict", {"texts": ["good"] * 5}),
        ("classes", "/tokenize", {"inputs": ["good"] * 5}),
        ("encoder", "/embed", {"inputs": ["good"] * 5}),
        ("encoder", "/similarity", {"inputs": {"source_sentence": "good", "sentences": ["good"] * 5}}),
    ],
)
def test_too_many_texts(local, name, path, body):
    server = local(name, texts_per_request=4)
    reply = server.post(path, body)
    assert reply.status_code == 413 and limit_of(reply) == ("texts_per_request", 4, 5)


def test_too_many_texts_in_other_dialects(local):
    reply = local("encoder", texts_per_request=4).post("/v1/embeddings", {"input": ["good"] * 5})
    assert reply.status_code == 413 and reply.json()["error"]["limit"]["found"] == 5
    reply = local("classes", texts_per_request=4).post(
        "/deployment/1/forward", {"rows": [{"text": "good"}] * 5}
    )
    assert reply.status_code == 413 and reply.json()["errorCode"] == "413_Validation"


def test_a_long_text(local):
    server = local("classes", text_characters=20)
    reply = server.post("/predict", {"inputs": "x" * 21})
    assert reply.status_code == 422 and limit_of(reply) == ("text_characters", 20, 21)
    mixed = server.post("/predict", {"inputs": [["good"], ["x" * 21]]})
    assert mixed.status_code == 200 and mixed.json()[1]["limit"]["name"] == "text_characters"


def test_all_bodies_together(local):
    server = local("classes", body_bytes=1000, held_bytes=1000)
    server.load.held_bytes = 900
    reply = server.post("/predict", {"inputs": "good " * 30})
    assert (
        reply.status_code == 429
        and limit_of(reply)[0] == "held_bytes"
        and int(reply.headers["retry-after"]) >= 1
    )
    server.load.held_bytes = 0
    assert server.post("/predict", {"inputs": "good " * 30}).status_code == 200 and nothing_is_left(server)


def test_too_many_requests(local):
    server = local("classes", concurrent_requests=2)
    server.load.begin(), server.load.begin()
    reply = server.post("/predict", {"inputs": TEXT})
    assert reply.status_code == 429 and limit_of(reply) == ("concurrent_requests", 2, 3)
    assert int(reply.headers["retry-after"]) >= 1
    assert server.get("/live").status_code == 200 and server.get("/health").status_code == 200
    assert "rate_limit_error" in server.post("/v1/embeddings", {"input": TEXT}).text
    server.load.end({}), server.load.end({})
    assert server.post("/predict", {"inputs": TEXT}).status_code == 200


def test_an_answer_that_does_not_come(local):
    server = local("classes", timeout_s=0.2)
    server.worker.send = lambda message: None
    reply = server.post("/predict", {"inputs": TEXT})
    assert reply.status_code == 504 and limit_of(reply) == ("timeout_s", 0.2, None)
    assert server.load.num_requests == 0


def test_a_body_that_does_not_come(local):
    async def parts():
        yield b'{"inputs":'
        await asyncio.sleep(5)
        yield b'"good"}'

    server = local("classes", arrival_s=0.2)
    reply = server.ask("POST", "/predict", content=parts())
    assert reply.status_code == 408 and limit_of(reply)[0] == "arrival_s" and nothing_is_left(server)


def test_while_there_is_no_worker(local):
    server = local("classes")
    server.run(lose(server))
    assert server.get("/live").status_code == 200
    for reply in (server.get("/health"), server.post("/predict", {"inputs": TEXT})):
        assert reply.status_code == 503 and reply.json()["error_type"] == "Unhealthy"
        assert int(reply.headers["retry-after"]) >= 1


async def lose(server):
    server.engine.lose_worker("The worker has gone")


def test_while_the_server_is_stopping(local):
    server = local("classes")
    server.load.is_stopping = True
    assert server.get("/live").status_code == 200
    for reply in (server.get("/health"), server.post("/predict", {"inputs": TEXT}), server.get("/info")):
        assert reply.status_code == 503 and reply.headers["connection"] == "close"


def test_a_compressed_body(local):
    reply = local("classes").ask(
        "POST", "/predict", content=b"\x1f\x8b" + b"x" * 100, headers={"content-encoding": "gzip"}
    )
    assert reply.status_code == 415 and "content-encoding" in reply.json()["error"]


def test_a_server_that_fails_says_so_and_nothing_else(local, monkeypatch, caplog):
    server = local("classes")

    def fail(*_, **__):
        raise RuntimeError(f"something went wrong with {TEXT}")

    monkeypatch.setattr(server.engine, "submit", fail)
    reply = server.post("/predict", {"inputs": TEXT})
    assert reply.status_code == 500 and reply.json()["error_type"] == "Backend"
    assert "film" not in reply.text and nothing_is_left(server)


def test_a_model_that_fails_says_so(local):
    from bertblocks.serving.messages import Refusal

    server = local("classes")
    server.worker._model = Broken(server.worker._model, Refusal("The model failed", is_texts=False))
    reply = server.post("/predict", {"inputs": [[TEXT], ["good"]]})
    assert reply.status_code == 424 and reply.json() == {"error": "The model failed", "error_type": "Backend"}


class Broken:
    def __init__(self, model, value):
        self.tokenize = model.tokenize
        self._value = value

    def compute(self, asked, rows):
        return [self._value] * len(rows)


def test_unknown_addresses_and_methods(local):
    server = local("classes")
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("POST", "/health", 405),
        ("PUT", "/", 405),
        ("GET", "/%ff%00", 404),
    ):
        reply = server.ask(method, path)
        assert reply.status_code == status and reply.json()["error_type"] == "Validation"
    assert server.ask("GET", "/deployment/x/y").json()["errorCode"] == "404_Validation"


@pytest.mark.parametrize(
    "path", ["/predict", "/info", "/metrics", "/openapi.json", "/", "/nothing", "/v1/predict"]
)
def test_a_token_is_asked_for_everywhere_but_live_and_health(local, path):
    server = local("classes", tokens=("a-good-token",))
    method = "POST" if path in ("/predict", "/v1/predict") else "GET"
    assert server.ask(method, path).status_code == 401
    assert "www-authenticate" in server.ask(method, path).headers
    wrong = {"Authorization": "Bearer a-wrong-token"}
    assert server.ask(method, path, headers=wrong).status_code == 401
    good = {"Authorization": "Bearer a-good-token"}
    assert server.ask(method, path, headers=good).status_code in (200, 404, 422)
    assert server.get("/live").status_code == 200 and server.get("/health").status_code == 200


def test_what_is_counted(local):
    server = local("classes", texts_per_request=10)
    server.post("/predict", {"inputs": [["good " * 100], [TEXT], [7], [TEXT]]})
    server.post("/predict", {"inputs": [["good"]] * 11})
    server.get("/nothing")
    text = server.get("/metrics").text
    for line in (
        "bertblocks_texts_total 3.0",
        "bertblocks_faulty_texts_total 1.0",
        "bertblocks_tokens_total 48.0",
        "bertblocks_cut_texts_total 1.0",
        "bertblocks_shared_texts_total 1.0",
        'bertblocks_requests_total{route="/predict",status="200"} 1.0',
        'bertblocks_requests_total{route="/predict",status="413"} 1.0',
        'bertblocks_requests_total{route="other",status="404"} 1.0',
        'bertblocks_errors_total{kind="Validation"} 2.0',
        "bertblocks_batch_tokens_count 1.0",
        "bertblocks_batch_tokens_sum 40.0",
        "bertblocks_batch_texts_sum 2.0",
    ):
        assert line in text.splitlines(), line
    assert "_created" not in text


def test_other_websites_may_not_ask_unless_they_are_named(served_model):
    from local_server import LocalServer

    from bertblocks.serving.app import build_app
    from bertblocks.serving.settings import ServerSettings

    server = LocalServer(served_model("classes"))
    try:
        asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
        assert "access-control-allow-origin" not in server.ask("OPTIONS", "/predict", headers=asked).headers
        settings = ServerSettings(
            model="here", allow_origins=("https://shop.example",), tokens=("a-good-token",), access_log=False
        )
        server.app = build_app(server.service, settings)
        reply = server.ask("OPTIONS", "/predict", headers=asked)
        assert reply.status_code == 200
        assert reply.headers["access-control-allow-origin"] == "https://shop.example"
        other = server.ask("OPTIONS", "/predict", headers={**asked, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
    finally:
        server.close()
