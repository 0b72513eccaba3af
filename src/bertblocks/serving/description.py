"""The OpenAPI description: made of the same table of routes that answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from bertblocks._version import __version__
from bertblocks.serving import schemas
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.routes import Route
from bertblocks.serving.settings import Limits

_MEANINGS = {
    400: "There is nothing to answer: an empty list of texts.",
    401: "No token, or one that is not good.",
    408: "The body did not come in time.",
    413: "The body, or the list of texts, is larger than the limit.",
    415: "The body is compressed, or of another type.",
    422: "What was sent cannot be read; says what, and what was expected.",
    424: "The model failed, or is of another kind.",
    429: "There is too much to do: try again after the seconds of Retry-After.",
    431: "Address and headers are larger than the limit.",
    500: "The server failed.",
    501: "This server cannot do it.",
    503: "The model is not there: it is being loaded, or the server is being stopped.",
    504: "There was no answer in time.",
}


def describe(
    routes: Sequence[Route], facts: ModelFacts, limits: Limits, *, needs_token: bool
) -> dict[str, Any]:
    """Describe what a server answers.

    Args:
        routes: All routes.
        facts: The model.
        limits: How much is taken.
        needs_token: Whether a token is asked for.

    Returns:
        An OpenAPI document of version 3.1.
    """
    paths: dict[str, Any] = {}
    for route in routes:
        if route.is_told:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(
                route, needs_token=needs_token
            )
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"bertblocks: {facts.name}",
            "version": __version__,
            "description": _about(facts, limits),
        },
        "paths": paths,
        "components": {"schemas": {"Error": schemas.error(), **_other_errors()}},
    }
    if needs_token:
        described["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic", "description": "The token as the name of the user."},
        }
    return described


def _about(facts: ModelFacts, limits: Limits) -> str:
    answers = (
        f"vectors of {facts.hidden_size} numbers"
        if facts.gives_vectors
        else f"{facts.target!r} ({facts.task}) from {' and '.join(map(repr, facts.inputs))}"
    )
    return (
        f"The model {facts.name} answers with {answers}. A request may have {limits.texts_per_request:,} "
        f"texts of {limits.text_characters:,} characters, and {limits.body_bytes:,} bytes. At most "
        f"{limits.concurrent_requests:,} requests are answered at the same time, each within "
        f"{limits.timeout_s:g} seconds. Where some texts of a request cannot be read, the others are "
        "answered, and each of these has an error in place of its answer."
    )


def _operation(route: Route, *, needs_token: bool) -> dict[str, Any]:
    content = {route.reply_type: {"schema": route.reply} if route.reply is not None else {}}
    responses: dict[str, Any] = {"200": {"description": "The answer", "content": content}}
    errors = (*route.errors, 431) if route.is_open or not needs_token else (*route.errors, 401, 431)
    for status in sorted(errors):
        responses[str(status)] = _error(status, route)
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": route.summary,
        "tags": [route.dialect],
        "responses": responses,
    }
    if route.description:
        operation["description"] = route.description.strip()
    if route.parameters:
        operation["parameters"] = list(route.parameters)
    if route.bodies:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in route.bodies.items()},
        }
    if needs_token and not route.is_open:
        operation["security"] = [{"bearer": []}, {"basic": []}]
    return operation


def _error(status: int, route: Route) -> dict[str, Any]:
    kinds = {"OpenAI": "OpenAIError", "deployment": "DeploymentError"}
    reference = {"$ref": f"#/components/schemas/{kinds.get(route.dialect, 'Error')}"}
    told: dict[str, Any] = {
        "description": _MEANINGS.get(status, HTTPStatus(status).phrase),
        "content": {"application/json": {"schema": reference}},
    }
    if status in (429, 503):
        told["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return told


def _other_errors() -> Mapping[str, Any]:
    """The errors of those dialects that have their own."""
    text, none_or_text = schemas.STRING, schemas.optional(schemas.STRING)
    inner = schemas.record({"message": text, "type": text, "param": none_or_text, "code": none_or_text})
    return {
        "OpenAIError": schemas.record({"error": inner}),
        "DeploymentError": schemas.record({"errorCode": text, "errorMessage": text}),
    }


def _name(route: Route) -> str:
    words = [
        word for word in route.path.replace("{", "").replace("}", "").replace(".", "_").split("/") if word
    ]
    return "_".join([route.method.lower(), *words])
