from __future__ import annotations

import math

import numpy as np
import pytest

from bertblocks.inference import Predictor, load_encoder

TEXT, OTHER = "The film was very good!", "awful food"


@pytest.fixture
def expected(folder):
    """What the library says to texts, without a server."""

    def predict(name, texts, pairs=None):
        predictor = Predictor.load(folder(name), precision="float32", device="cpu")
        return predictor.predict(texts, pairs)

    return predict


def scores(entries):
    return {entry["label"]: entry["score"] for entry in entries}


@pytest.mark.parametrize("name", ["classes", "binary", "several", "windows"])
def test_labels_with_their_scores_the_highest_first(local, expected, name):
    reply = local(name).post("/predict", {"inputs": TEXT})
    assert reply.status_code == 200
    found = reply.json()
    assert [entry["score"] for entry in found] == sorted((e["score"] for e in found), reverse=True)
    assert scores(found) == pytest.approx(expected(name, [TEXT])[0].probabilities, abs=1e-6)


def test_a_number(local, expected):
    found = local("number").post("/predict", {"inputs": TEXT}).json()
    assert found == [
        {"score": pytest.approx(expected("number", [TEXT])[0].answer, abs=1e-5), "label": "target"}
    ]


def test_a_pair_and_a_batch(local, expected):
    server = local("pairs")
    one = server.post("/predict", {"inputs": [TEXT, OTHER]}).json()
    assert scores(one) == pytest.approx(expected("pairs", [TEXT], [OTHER])[0].probabilities, abs=1e-6)
    batch = server.post("/predict", {"inputs": [[TEXT, OTHER], [OTHER, TEXT]]}).json()
    assert scores(batch[0]) == pytest.approx(scores(one), abs=1e-6) and len(batch) == 2


def test_a_batch_of_texts(local):
    server = local("classes")
    batch = server.post("/predict", {"inputs": [[TEXT], [OTHER]]}).json()
    assert [scores(entries) for entries in batch] == [
        pytest.approx(scores(server.post("/predict", {"inputs": text}).json()), abs=1e-5)
        for text in (TEXT, OTHER)
    ]
    assert (
        server.post("/predict", {"inputs": [TEXT]}).json() == server.post("/predict", {"inputs": TEXT}).json()
    )


def test_two_texts_are_not_guessed_to_be_a_batch(local):
    reply = local("classes").post("/predict", {"inputs": [TEXT, OTHER]})
    assert reply.status_code == 422
    assert '[["a"], ["b"]]' in reply.json()["error"] and reply.json()["error_type"] == "Validation"


def test_good_rows_are_answered_and_each_other_one_says_what_is_wrong(local):
    inputs = [[TEXT], [5], "text", [], ["  "], [TEXT, OTHER], [None], [OTHER]]
    reply = local("classes").post("/predict", {"inputs": inputs})
    assert reply.status_code == 200
    rows = reply.json()
    assert len(rows) == 8 and isinstance(rows[0], list) and isinstance(rows[7], list)
    told = [row["error"] for row in rows[1:7]]
    for message, words in zip(
        told, ("a number", "a text", "0 texts", "blank", "single texts", "null"), strict=True
    ):
        assert words in message


def test_a_request_without_a_good_row(local):
    reply = local("classes").post("/predict", {"inputs": [[5], [""]]})
    assert reply.status_code == 422 and "None of the 2 texts" in reply.json()["error"]


def test_raw_scores_and_functions(local):
    server = local("classes")
    raw = scores(server.post("/predict", {"inputs": TEXT, "raw_scores": True}).json())
    usual = scores(server.post("/predict", {"inputs": TEXT}).json())
    total = sum(map(math.exp, raw.values()))
    assert usual == pytest.approx({label: math.exp(x) / total for label, x in raw.items()}, abs=1e-5)

    def asked(**parameters):
        return server.post("/", {"inputs": TEXT, "parameters": parameters}).json()

    assert scores(asked(function_to_apply="none")[0]) == pytest.approx(raw)
    assert scores(asked(function_to_apply="softmax")[0]) == pytest.approx(usual, abs=1e-5)
    sigmoid = {label: 1 / (1 + math.exp(-x)) for label, x in raw.items()}
    assert scores(asked(function_to_apply="sigmoid")[0]) == pytest.approx(sigmoid, abs=1e-5)
    assert len(asked(top_k=2)[0]) == 2 and len(asked()[0]) == 3
    assert server.post("/", {"inputs": TEXT}).json() == server.post("/predict", {"inputs": TEXT}).json()


LONG = "good bad great awful film book food service music story " * 10


def test_long_texts_are_cut_unless_that_is_refused(local):
    server = local("classes")
    assert server.post("/predict", {"inputs": LONG}).status_code == 200
    refused = server.post("/predict", {"inputs": LONG, "truncate": False})
    assert refused.status_code == 422
    assert refused.json()["limit"] == {"name": "sequence_length", "limit": 32, "found": 102}
    mixed = server.post("/predict", {"inputs": [[LONG], [TEXT]], "truncate": False})
    assert mixed.status_code == 200 and "102 tokens" in mixed.json()[0]["error"]


def test_texts_lose_their_end_or_their_beginning(local):
    server = local("classes")
    words = LONG.split()

    def answer(text, direction=None):
        return scores(server.post("/predict", {"inputs": text, "truncation_direction": direction}).json())

    assert answer(LONG) == pytest.approx(answer(" ".join(words[:30])), abs=1e-6)
    assert answer(LONG, "left") == pytest.approx(answer(" ".join(words[-30:])), abs=1e-6)
    assert answer(TEXT, "left") == pytest.approx(answer(TEXT), abs=1e-6)
    reply = local("pairs").post("/predict", {"inputs": [TEXT, OTHER], "truncation_direction": "left"})
    assert reply.status_code == 422 and "single texts" in reply.json()["error"]


def test_windows_are_never_cut(local, expected):
    found = scores(local("windows").post("/predict", {"inputs": LONG, "truncate": False}).json())
    assert found == pytest.approx(expected("windows", [LONG])[0].probabilities, abs=1e-6)


def test_vectors(local, folder):
    server, encoder = local("encoder"), load_encoder(folder("encoder"), precision="float32", device="cpu")
    vectors = encoder.encode([TEXT, OTHER])
    found = np.array(server.post("/embed", {"inputs": [TEXT, OTHER], "normalize": False}).json())
    np.testing.assert_allclose(found, vectors, atol=1e-5)
    unit = np.array(server.post("/embed", {"inputs": TEXT}).json())
    np.testing.assert_allclose(unit, vectors[:1] / np.linalg.norm(vectors[:1]), atol=1e-5)
    assert server.post("/", {"inputs": TEXT}).json() == server.post("/embed", {"inputs": TEXT}).json()
    sequences = server.post("/embed_all", {"inputs": [TEXT, OTHER]}).json()
    expected = encoder.encode([TEXT, OTHER], output="sequence")
    for row, right in zip(sequences, expected, strict=True):
        np.testing.assert_allclose(np.array(row), right, atol=1e-5)


def test_vectors_of_faulty_rows(local):
    rows = local("encoder").post("/embed", {"inputs": [TEXT, 7, OTHER]}).json()
    assert len(rows[0]) == len(rows[2]) == 32 and rows[1]["error_type"] == "Validation"


def test_similarity(local):
    body = {"inputs": {"source_sentence": TEXT, "sentences": [TEXT, OTHER, 5]}}
    same, other, faulty = local("encoder").post("/similarity", body).json()
    assert same == pytest.approx(1, abs=1e-5) and -1 <= other < 1 and "a number" in faulty["error"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "source_sentence"),
        ({"source_sentence": TEXT}, "sentences"),
        ({"source_sentence": 3, "sentences": [TEXT]}, "source_sentence: Expected a text"),
        ({"source_sentence": TEXT, "sentences": TEXT}, "sentences is a text"),
        ({"source_sentence": TEXT, "sentences": [4]}, "a number"),
        (TEXT, "object"),
    ],
)
def test_similarity_of_what_is_no_text(local, inputs, told):
    reply = local("encoder").post("/similarity", {"inputs": inputs})
    assert reply.status_code == 422 and told in reply.json()["error"]


def test_tokens(local):
    server = local("classes")
    (tokens,) = server.post("/tokenize", {"inputs": "good films"}).json()
    assert [token["text"] for token in tokens] == ["[CLS]", "good", "film", "##s", "[SEP]"]
    assert [token["special"] for token in tokens] == [True, False, False, False, True]
    for token in tokens:
        if token["start"] is not None:
            assert "good films"[token["start"] : token["stop"]] == token["text"].removeprefix("##")
    (bare,) = server.post("/tokenize", {"inputs": ["good films"], "add_special_tokens": False}).json()
    assert bare == tokens[1:-1]
    assert len(local("pairs").post("/tokenize", {"inputs": "good"}).json()[0]) == 3
    assert len(local("windows").post("/tokenize", {"inputs": LONG}).json()[0]) > 100


def test_what_the_server_takes(local):
    info = local("classes").get("/info").json()
    assert info["model_type"] == {
        "classifier": {
            "id2label": {"0": "bad", "1": "colour", "2": "good"},
            "label2id": {"bad": 0, "colour": 1, "good": 2},
        }
    }
    assert (info["max_input_length"], info["max_client_batch_size"], info["model_dtype"]) == (
        32,
        1024,
        "float32",
    )
    assert local("encoder").get("/info").json()["model_type"] == {"embedding": {"pooling": "cls"}}


def test_headers_tell_tokens_and_times(local):
    reply = local("classes").post("/predict", {"inputs": [[TEXT], ["good"]]})
    assert reply.headers["x-compute-tokens"] == "11" and reply.headers["x-compute-characters"] == "27"
    for name in ("x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
        assert reply.headers[name].isdigit()


@pytest.mark.parametrize(
    ("name", "path"),
    [("classes", "/embed"), ("classes", "/embed_all"), ("classes", "/similarity"), ("encoder", "/predict")],
)
def test_routes_of_another_kind_of_model(local, name, path):
    reply = local(name).post(path, {"inputs": TEXT})
    assert reply.status_code == 424 and reply.json()["error_type"] == "Backend"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "'inputs' is missing"),
        ({"inputs": None}, "'inputs' is missing"),
        ({"inputs": 5}, "inputs is a number"),
        ({"inputs": {"a": 1}}, "inputs is an object"),
        ({"inputs": ["a", "b", "c"]}, "3 texts"),
        ({"inputs": TEXT, "truncate": "yes"}, "truncate is a text, expected true or false"),
        ({"inputs": TEXT, "truncation_direction": "up"}, "truncation_direction is another text"),
        ({"inputs": TEXT, "raw_scores": 1}, "raw_scores is 1"),
        ({"inputs": TEXT, "parameters": []}, "parameters"),
        ({"inputs": TEXT, "parameters": {"top_k": 0}}, "top_k is 0"),
        ({"inputs": TEXT, "parameters": {"top_k": 1.5}}, "top_k is 1.5"),
        ({"inputs": TEXT, "parameters": {"function_to_apply": "log"}}, "function_to_apply"),
        ([TEXT], "the body to be a JSON object, found a list"),
        ("text", "found a text"),
    ],
)
def test_bodies_that_say_nothing(local, body, told):
    reply = local("classes").post("/predict", body)
    assert reply.status_code == 422 and told in reply.json()["error"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"inputs": TEXT, "prompt_name": "query"}, "prompt_name"),
        ({"inputs": TEXT, "dimensions": 16}, "32 numbers"),
        ({"inputs": TEXT, "encoding_format": "base64"}, "/v1/embeddings"),
        ({"inputs": TEXT, "normalize": "no"}, "normalize"),
        ({"inputs": 3}, "inputs is a number"),
    ],
)
def test_vectors_that_cannot_be(local, body, told):
    reply = local("encoder").post("/embed", body)
    assert reply.status_code == 422 and told in reply.json()["error"]


def test_an_empty_list(local):
    for name, path in (("classes", "/predict"), ("encoder", "/embed")):
        reply = local(name).post(path, {"inputs": []})
        assert reply.status_code == 400 and reply.json()["error_type"] == "Empty"


def test_null_is_as_if_it_were_not_there(local):
    body = {
        "inputs": TEXT,
        "truncate": None,
        "raw_scores": None,
        "parameters": None,
        "truncation_direction": None,
    }
    assert local("classes").post("/predict", body).status_code == 200
