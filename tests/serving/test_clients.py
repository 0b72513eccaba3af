"""Clients as people have them, unmodified."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from itertools import islice

import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from running_server import RunningServer

from bertblocks.inference import Predictor, load_encoder

TEXT, OTHER = "The film was very good!", "awful food"
TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module")
def guarded(folder, tmp_path_factory):
    """A server that asks for a token, which stands in a file."""
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"# for tests\n{TOKEN}\n", encoding="utf-8")
    with RunningServer(folder("classes"), "--token-file", file) as server:
        yield server
        assert TOKEN not in server.log


def test_the_hubs_client_classifies(classifier, folder):
    client = InferenceClient(model=classifier.url, token="not-looked-at", provider="hf-inference")
    found = client.text_classification(TEXT)
    expected = Predictor.load(folder("classes"), precision="float32").predict([TEXT])[0].probabilities
    assert {entry.label: entry.score for entry in found} == pytest.approx(expected, abs=1e-6)
    assert found[0].score == max(entry.score for entry in found)
    assert len(client.text_classification(TEXT, top_k=1)) == 1
    raw = client.text_classification(TEXT, function_to_apply="none")
    assert sum(entry.score for entry in raw) != pytest.approx(1)
    assert client.health_check()
    assert client.get_endpoint_info()["model_type"]["classifier"]["id2label"]["0"] == "bad"


def test_the_hubs_client_has_a_token(guarded):
    assert InferenceClient(model=guarded.url, token=TOKEN).text_classification(TEXT)
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(model=guarded.url, token="not-looked-at").text_classification(TEXT)


def test_the_hubs_client_embeds(embedder, folder):
    client = InferenceClient(model=embedder.url, token="not-looked-at")
    expected = load_encoder(folder("encoder"), precision="float32").encode([TEXT, OTHER])
    one = client.feature_extraction(TEXT, normalize=False)
    assert one.shape == (1, 32)
    np.testing.assert_allclose(one, expected[:1], atol=1e-5)
    both = client.feature_extraction([TEXT, OTHER], truncate=True, truncation_direction="left")
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)


def test_openais_client(embedder, folder):
    client = openai.OpenAI(base_url=f"{embedder.url}/v1", api_key="none", max_retries=0)
    expected = load_encoder(folder("encoder"), precision="float32").encode([TEXT, OTHER])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    # It asks for base64 by itself.
    for options in ({}, {"encoding_format": "float"}):
        found = client.embeddings.create(model="any", input=[TEXT, OTHER], **options)
        np.testing.assert_allclose([entry.embedding for entry in found.data], expected, atol=1e-5)
        assert found.usage.prompt_tokens == 12
    assert len(client.embeddings.create(model="any", input=TEXT).data) == 1
    for wrong in ({"input": [[1, 2, 3]]}, {"input": ""}, {"input": TEXT, "dimensions": 7}):
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            client.embeddings.create(model="any", **wrong)
        assert refused.value.type == "invalid_request_error"
    client.close()


def test_openais_client_without_a_token_is_told_so(guarded):
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key="another-token", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.embeddings.create(model="any", input=TEXT)
    client.close()


TYPES = {"categorical": dict, "numeric": (int, float), "binary": (int, float)}


class Deployment:
    """A client of the deployment API, written from its description."""

    BATCH_SIZE = 128

    def __init__(self, url, token):
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        described = self._call(urllib.parse.urljoin(url, "openapi.json"))
        assert described["paths"]["/deployment/{deploymentId}/forward"]["x-peltarion-tensorjson"]
        schemas = described["components"]["schemas"]
        self.inputs = self._features(schemas["input-row"]["properties"])
        self.outputs = self._features(schemas["output-row-batch"]["properties"]["rows"]["properties"])

    def predict_many(self, items):
        iterator, found = iter(items), []
        while batch := list(islice(iterator, self.BATCH_SIZE)):
            rows = [{name: item[name] for name in self.inputs} for item in batch]
            reply = self._call(self.url, {"rows": rows})
            assert "errorCode" not in reply
            for row in reply["rows"]:
                for name, (kind, shape) in self.outputs.items():
                    assert isinstance(row[name], TYPES[kind])
                    assert kind != "categorical" or len(row[name]) == shape[0]
                found.append(row)
        return found

    def _features(self, properties):
        return {
            name: (specification["x-peltarion"]["type"], specification["x-peltarion"]["shape"])
            for name, specification in properties.items()
        }

    def _call(self, url, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, **({"Content-Type": "application/json"} if body else {})}
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as reply:
            return json.load(reply)


def test_the_old_platforms_client(guarded, folder):
    client = Deployment(f"{guarded.url}/deployment/some-id/forward", TOKEN)
    assert client.inputs == {"text": ("text", [1])} and client.outputs == {"topic": ("categorical", [3])}
    texts = [f"{TEXT} {number}" for number in range(300)]
    found = client.predict_many({"text": text, "not asked for": 5} for text in texts)
    expected = Predictor.load(folder("classes"), precision="float32").predict(texts)
    assert [row["topic"] for row in found] == [pytest.approx(p.probabilities, abs=1e-5) for p in expected]
    with pytest.raises(urllib.error.HTTPError, match="422"):
        client.predict_many([{"text": TEXT}, {"text": ""}])
    with pytest.raises(urllib.error.HTTPError, match="401"):
        Deployment(f"{guarded.url}/deployment/some-id/forward", "no-good-token")


def test_a_raw_token_and_the_token_as_a_user(guarded):
    body = {"inputs": TEXT}
    assert guarded.post("/predict", body, headers={"Authorization": TOKEN}).status_code == 200
    assert guarded.post("/predict", body, auth=(TOKEN, "")).status_code == 200
    assert guarded.post("/predict", body, auth=("user", TOKEN)).status_code == 401


def test_vectors_over_the_wire_are_the_librarys(embedder, folder):
    texts = [f"{TEXT} {number}" for number in range(200)]
    found = np.array(embedder.post("/embed", {"inputs": texts, "normalize": False}).json())
    expected = load_encoder(folder("encoder"), precision="float32").encode(texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)
