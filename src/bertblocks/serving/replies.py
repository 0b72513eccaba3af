"""Replies: JSON that every client can read, whatever was asked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving.problems import RequestError, error_body

_JSON = "application/json"
_ERRORS_ARE_NOT_CACHED = {"cache-control": "no-store"}


def json_reply(
    request: Request, value: Any, headers: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    """A value as JSON; characters outside ASCII as escapes, as no encoding has halves of surrogate pairs."""
    return text_reply(request, to_json(value), headers, status=status)


def text_reply(
    request: Request, text: str, headers: Mapping[str, str] | None = None, *, status: int = 200
) -> Response:
    """JSON that is written already."""
    passed = time.perf_counter() - request.scope.get("bertblocks.perf", time.perf_counter())
    total = {"x-total-time": str(round(1000 * passed))} if headers else {}
    return Response(text, status, {**(headers or {}), **total}, _JSON)


def error_reply(path: str, problem: RequestError) -> Response:
    """An error, as the dialect of the path has it."""
    headers = dict(_ERRORS_ARE_NOT_CACHED)
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    if problem.status == 401:
        headers["www-authenticate"] = 'Bearer realm="bertblocks"'
    if problem.close:
        headers["connection"] = "close"
    return Response(to_json(error_body(problem, path)), problem.status, headers, _JSON)


def to_json(value: Any) -> str:
    """JSON in ASCII, without spaces."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
