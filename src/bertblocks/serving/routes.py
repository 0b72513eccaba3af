"""A route: where it is, what answers, and what its description says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]
Schema = Mapping[str, Any]

COMPUTES = (400, 408, 413, 415, 422, 424, 429, 500, 503, 504)
"""What may be answered instead where texts are computed."""

READS = (429, 500, 503)
"""What may be answered instead where nothing is asked."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        method: "GET" or "POST".
        path: As Starlette takes it.
        handler: What answers.
        summary: In a few words.
        description: What one must know to use it; limits included.
        dialect: To which it belongs.
        bodies: What may be sent, by content type.
        reply: The JSON of the answer with status 200; None where it is no JSON.
        reply_type: Content type of the answer.
        errors: Other statuses than 200 that it may have, 401 excepted, which every route may.
        parameters: Of the path and the query, as OpenAPI has them.
        is_open: Whether it needs no token.
        is_told: Whether the description has it: not what this model cannot do.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    description: str = ""
    dialect: str
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    reply: Schema | None = None
    reply_type: str = "application/json"
    errors: tuple[int, ...] = COMPUTES
    parameters: tuple[Schema, ...] = ()
    is_open: bool = False
    is_told: bool = True
