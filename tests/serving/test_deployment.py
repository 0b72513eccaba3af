from __future__ import annotations

import pytest

from bertblocks.inference import Predictor

TEXT, OTHER = "The film was very good!", "awful food"
FORWARD = "/deployment/6f1c-42/forward"


def test_classes(local, folder):
    reply = local("classes").post(FORWARD, {"rows": [{"text": TEXT, "unused": 7}, {"text": OTHER}]})
    rows = reply.json()["rows"]
    expected = Predictor.load(folder("classes"), precision="float32").predict([TEXT, OTHER])
    assert [row["topic"] for row in rows] == [pytest.approx(p.probabilities, abs=1e-6) for p in expected]
    assert list(rows[0]["topic"]) == ["bad", "colour", "good"]


def test_a_number_and_a_yes_or_no_are_bare_numbers(local, folder):
    number = local("number").post(FORWARD, {"rows": [{"text": TEXT}]}).json()["rows"][0]["target"]
    assert number == pytest.approx(
        Predictor.load(folder("number"), precision="float32").predict([TEXT])[0].answer
    )
    yes = local("binary").post(FORWARD, {"rows": [{"text": TEXT}]}).json()["rows"][0]["target"]
    expected = Predictor.load(folder("binary"), precision="float32").predict([TEXT])[0].probabilities
    assert yes == pytest.approx(expected["yes"], abs=1e-6)


def test_several_labels_and_pairs(local):
    found = local("several").post(FORWARD, {"rows": [{"text": TEXT}]}).json()["rows"][0]["target"]
    assert set(found) == {"a", "b", "c"}
    found = local("pairs").post(FORWARD, {"rows": [{"text": TEXT, "second": OTHER}]}).json()["rows"]
    assert set(found[0]["target"]) == {"x", "y"}


@pytest.mark.parametrize("options", [{"data": {"text": TEXT}}, {"files": {"text": (None, TEXT)}}])
def test_one_example_as_a_form(local, options):
    reply = local("classes").ask("POST", FORWARD, **options)
    expected = local("classes").post(FORWARD, {"rows": [{"text": TEXT}]}).json()["rows"][0]
    assert reply.status_code == 200 and reply.json()["topic"] == pytest.approx(expected["topic"], abs=1e-6)


def test_a_file_in_a_form_is_its_text(local):
    reply = local("classes").ask("POST", FORWARD, files={"text": ("text.txt", TEXT.encode(), "text/plain")})
    assert reply.status_code == 200 and set(reply.json()["topic"]) == {"bad", "colour", "good"}


ROWS = [{"text": TEXT}, {"text": 5}, {"other": TEXT}, "text", {"text": "  "}, {"text": None}]


def test_a_faulty_row_fails_the_whole_request_as_it_always_did(local):
    reply = local("classes").post(FORWARD, {"rows": ROWS})
    error = reply.json()
    assert reply.status_code == 422 and error["errorCode"] == "422_Validation"
    for told in ("rows[1]: Expected a text, found a number", "rows[2]: A row lacks 'text'", "partial=true"):
        assert told in error["errorMessage"]


def test_unless_other_rows_shall_be_answered(local):
    reply = local("classes").post(FORWARD + "?partial=true", {"rows": ROWS})
    rows = reply.json()["rows"]
    assert reply.status_code == 200 and "topic" in rows[0]
    assert [list(row) for row in rows[1:]] == [["error"]] * 5
    refused = local("classes").post(FORWARD + "?partial=perhaps", {"rows": ROWS})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ({"json": {}}, 422, "'rows' is missing"),
        ({"json": {"rows": "x"}}, 422, "rows is a text"),
        ({"json": {"rows": []}}, 400, "rows is empty"),
        ({"json": [1]}, 422, "object"),
        ({"content": b"a,b\n", "headers": {"content-type": "text/csv"}}, 415, "application/json"),
        ({"data": {"other": TEXT}}, 422, "lacks 'text'"),
        (
            {"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            422,
            "lacks",
        ),
        ({"content": b"--x--", "headers": {"content-type": "multipart/form-data"}}, 422, "form"),
        ({"files": {"text": ("x", b"\xff\xfe\xfa")}}, 422, "form"),
        ({"content": b"text=%ff", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 200, ""),
        (
            {"content": b"\xff=1", "headers": {"content-type": "application/x-www-form-urlencoded"}},
            422,
            "form",
        ),
        (
            {
                "content": b"&".join(b"a=1" for _ in range(200)),
                "headers": {"content-type": "application/x-www-form-urlencoded"},
            },
            422,
            "form",
        ),
    ],
)
def test_what_is_no_row(local, options, status, told):
    reply = local("classes").ask("POST", FORWARD, **options)
    assert reply.status_code == status
    if told:
        assert told in reply.json()["errorMessage"]


def test_its_description_as_its_client_reads_it(local):
    for name, kind, shape in (
        ("classes", "categorical", [3]),
        ("binary", "binary", [1]),
        ("number", "numeric", [1]),
    ):
        described = local(name).get("/deployment/6f1c-42/openapi.json").json()
        assert described["paths"]["/deployment/{deploymentId}/forward"]["x-peltarion-tensorjson"] is True
        schemas = described["components"]["schemas"]
        assert schemas["input-row"]["properties"]["text"]["x-peltarion"] == {"type": "text", "shape": [1]}
        rows = schemas["output-row-batch"]["properties"]["rows"]
        target = "topic" if name == "classes" else "target"
        assert rows["properties"][target]["x-peltarion"] == {"type": kind, "shape": shape}
        assert "items" in rows


def test_an_encoder_has_no_deployment(local):
    assert local("encoder").post(FORWARD, {"rows": [{"text": TEXT}]}).status_code == 424
    assert local("encoder").get("/deployment/1/openapi.json").status_code == 424


def test_tokens_as_bearer_and_as_the_name_of_a_user(local):
    server = local("classes", tokens=("a-good-token", "another-token"))
    body = {"rows": [{"text": TEXT}]}
    refused = server.post(FORWARD, body)
    assert refused.status_code == 401 and refused.json()["errorCode"] == "401_Access"
    assert server.post(FORWARD, body, auth=("another-token", "")).status_code == 200
    bearer = {"Authorization": "Bearer a-good-token"}
    assert server.post(FORWARD, body, headers=bearer).status_code == 200
    assert server.get("/deployment/1/openapi.json", headers=bearer).status_code == 200
