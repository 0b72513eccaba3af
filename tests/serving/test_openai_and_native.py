from __future__ import annotations

import base64

import numpy as np
import pytest

TEXT, OTHER = "The film was very good!", "awful food"


def test_floats_and_base64_are_the_same_vectors(local):
    server = local("encoder")
    floats = server.post("/v1/embeddings", {"input": [TEXT, OTHER], "model": "any"}).json()
    coded = server.post("/v1/embeddings", {"input": [TEXT, OTHER], "encoding_format": "base64"}).json()
    assert floats["object"] == "list" and floats["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
    assert [entry["index"] for entry in floats["data"]] == [0, 1]
    for one, other in zip(floats["data"], coded["data"], strict=True):
        vector = np.frombuffer(base64.b64decode(other["embedding"]), dtype="<f4")
        np.testing.assert_allclose(one["embedding"], vector, rtol=1e-6)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "told", "param"),
    [
        ({"input": [1, 2, 3]}, "token ids", "input"),
        ({"input": [[1, 2], [3]]}, "token ids", "input"),
        ({"input": TEXT, "dimensions": 8}, "32 numbers", "dimensions"),
        ({"input": TEXT, "encoding_format": "hex"}, "encoding_format", "encoding_format"),
        ({"input": [TEXT, ""]}, "input[1]: The text is blank", "input"),
        ({"input": [TEXT, None]}, "input[1]: Expected a text, found null", "input"),
        ({"input": 5}, "input is a number", "input"),
        ({"input": TEXT, "model": 7}, "model is 7", "model"),
        ({}, "'input' is missing", "input"),
    ],
)
def test_errors_as_these_clients_read_them(local, body, told, param):
    reply = local("encoder").post("/v1/embeddings", body)
    error = reply.json()["error"]
    assert reply.status_code == 422 and told in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


def test_errors_of_other_kinds(local):
    error = local("classes").post("/v1/embeddings", {"input": TEXT})
    assert error.status_code == 424 and "predicts" in error.json()["error"]["message"]
    empty = local("encoder").post("/v1/embeddings", {"input": []})
    assert empty.status_code == 400 and empty.json()["error"]["code"] == "empty"
    no_token = local("encoder", tokens=("a-good-token",)).post("/v1/embeddings", {"input": TEXT})
    assert no_token.status_code == 401 and no_token.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("classes", str), ("binary", str), ("several", list), ("number", float), ("windows", str)],
)
def test_everything_that_is_known_about_an_answer(local, name, kind):
    reply = local(name).post("/v1/predict", {"texts": [TEXT, "good " * 100, 5]})
    assert reply.status_code == 200
    short, long, faulty = reply.json()["predictions"]
    assert isinstance(short["prediction"], kind)
    assert (short["num_tokens"], short["truncated"], short["num_unknown"]) == (8, False, 0)
    assert (long["num_tokens"], long["truncated"]) == (102, name != "windows")
    assert faulty["error_type"] == "Validation"
    assert bool(short["probabilities"]) == (name != "number")


def test_unknown_tokens_are_counted(local):
    (answer,) = (
        local("classes").post("/v1/predict", {"texts": ["good \U0001f600 film"]}).json()["predictions"]
    )
    assert answer["num_unknown"] == 1


def test_pairs(local):
    server = local("pairs")
    reply = server.post("/v1/predict", {"texts": [[TEXT, OTHER], [OTHER, "  "], TEXT, [TEXT]]})
    good, *faulty = reply.json()["predictions"]
    assert good["prediction"] in ("x", "y")
    for row, told in zip(faulty, ("blank", "a list of two texts, found a text", "takes pairs"), strict=True):
        assert told in row["error"]
    refused = local("classes").post("/v1/predict", {"texts": TEXT})
    assert refused.status_code == 422 and "texts is a text" in refused.json()["error"]
    refused = local("classes").post("/v1/predict", {"texts": [[TEXT, OTHER]]})
    assert refused.status_code == 422 and "found a list" in refused.json()["error"]


def test_explanations(local):
    server = local("classes")
    reply = server.post("/v1/explain", {"text": TEXT})
    if not server.service.facts.explains:
        assert reply.status_code == 501
        return
    found = reply.json()
    assert found["label"] in ("bad", "colour", "good")
    assert [TEXT[word["start"] : word["end"]] for word in found["words"]] == [
        w["text"] for w in found["words"]
    ]
    assert any(word["weight"] for word in found["words"])
    refused = server.post("/v1/explain", {"text": "good " * 300})
    assert refused.status_code in (200, 422)


def test_an_encoder_predicts_nothing(local):
    for path, body in (("/v1/predict", {"texts": [TEXT]}), ("/v1/explain", {"text": TEXT})):
        assert local("encoder").post(path, body).status_code == 424
