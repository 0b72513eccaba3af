"""What a server refuses or fails at: one kind of exception, with all that an answer in any dialect needs."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

Kind = Literal["Empty", "Validation", "Tokenizer", "Overloaded", "Unhealthy", "Backend", "Timeout", "Access"]
"""What TEI calls `error_type`; it has no name for the last two."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A limit that was passed.

    Attributes:
        name: Of the limit.
        limit: What it is.
        found: What was found; None where it is not known, since counting was stopped.
    """

    name: str
    limit: float
    found: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the errors show it."""
        return {"name": self.name, "limit": self.limit, "found": self.found}


class RequestError(Exception):
    """Why a request, or one of its rows, has no answer.

    Args:
        status: Of HTTP.
        kind: What sort of problem it is.
        message: For people; it holds nothing of the request's texts.
        bound: The limit that was passed, if one was.
        param: The part of the request that is wrong, if one is.
        retry_after_s: Seconds after which another try may have more luck, if it may.
        close: Whether the connection is of no use any more.
    """

    def __init__(
        self,
        status: int,
        kind: Kind,
        message: str,
        *,
        bound: Bound | None = None,
        param: str | None = None,
        retry_after_s: int | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.bound = bound
        self.param = param
        self.retry_after_s = retry_after_s
        self.close = close


def invalid(message: str, *, param: str | None = None, bound: Bound | None = None) -> RequestError:
    """A request, or a row, that does not say what is to be done."""
    return RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation", message, param=param, bound=bound)


def too_large(message: str, bound: Bound, *, close: bool = False) -> RequestError:
    """A request that is larger than the server takes."""
    return RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Validation", message, bound=bound, close=close)


def overloaded(message: str, bound: Bound, retry_after_s: int) -> RequestError:
    """A request for which there is no room now."""
    return RequestError(
        HTTPStatus.TOO_MANY_REQUESTS, "Overloaded", message, bound=bound, retry_after_s=retry_after_s
    )


def unavailable(message: str, *, retry_after_s: int = 2) -> RequestError:
    """A request that came while the model is not there."""
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, "Unhealthy", message, retry_after_s=retry_after_s)


def error_body(problem: RequestError, path: str) -> dict[str, Any]:
    """An error as the dialect of a path has it.

    Args:
        problem: What went wrong.
        path: Of the request.

    Returns:
        What becomes the JSON body.
    """
    bound = {} if problem.bound is None else {"limit": problem.bound.to_json()}
    if path.startswith("/v1/embeddings"):
        kind = "invalid_request_error" if problem.status < 500 else "server_error"
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(problem.status, kind)
        error = {
            "message": problem.message,
            "type": kind,
            "param": problem.param,
            "code": problem.kind.lower(),
        }
        return {"error": {**error, **bound}}
    if path.startswith("/deployment/"):
        return {"errorCode": f"{problem.status}_{problem.kind}", "errorMessage": problem.message, **bound}
    return {"error": problem.message, "error_type": problem.kind, **bound}
