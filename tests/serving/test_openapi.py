"""The description is true: what it allows is answered as it says, and what it forbids is refused."""

from __future__ import annotations

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.config._checks import NegativeDataRejectionConfig

KINDS = ("classes", "binary", "several", "number", "pairs", "windows", "encoder")
EXAMPLES = 10


@pytest.mark.parametrize("name", KINDS)
def test_every_route_is_described_with_its_errors(local, name):
    server = local(name, tokens=("a-good-token",))
    described = server.get("/openapi.json", headers={"Authorization": "a-good-token"}).json()
    assert described["openapi"].startswith("3.1")
    operations = [
        (path, method, op) for path, item in described["paths"].items() for method, op in item.items()
    ]
    names = [op["operationId"] for _, _, op in operations]
    assert len(set(names)) == len(names)
    for path, _, operation in operations:
        is_open = path in ("/live", "/health")
        assert ("401" in operation["responses"]) != is_open and bool(operation.get("security")) != is_open
    paths = set(described["paths"])
    assert ("/predict" in paths) == (name != "encoder") and ("/embed" in paths) == (name == "encoder")
    assert "413" in described["paths"]["/tokenize"]["post"]["responses"]


@pytest.mark.parametrize("name", ["classes", "number", "pairs", "encoder"])
def test_the_description_is_true(local, name):
    server = local(name)
    schema = schemathesis.openapi.from_dict(server.get("/openapi.json").json(), config=configuration())
    tried = 0
    for operation in (result.ok() for result in schema.get_all_operations()):
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def holds(case):
                nonlocal tried
                tried += 1
                asked = requests.Request(**case.as_transport_kwargs(base_url="http://local")).prepare()
                reply = server.ask(asked.method, asked.url, content=asked.body, headers=asked.headers)
                case.validate_response(reply)

            try:
                holds()
            except Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, "nothing can be wrong about a request without content"
    assert tried > 100


def configuration():
    # It does not expect 413, which is what more texts than a request may have are answered with.
    refusals = NegativeDataRejectionConfig(
        expected_statuses=["400", "401", "404", "405", "406", "413", "415", "422", "429", "5xx"]
    )
    project = ProjectConfig(
        generation=GenerationConfig(), checks=ChecksConfig(negative_data_rejection=refusals)
    )
    return SchemathesisConfig(projects=ProjectsConfig(default=project))
