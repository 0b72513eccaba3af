"""The page at /, and what it asks the server about the model."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from bertblocks._version import __version__
from bertblocks.pages import look
from bertblocks.serving import schemas
from bertblocks.serving.page.card import read_card, read_scores
from bertblocks.serving.replies import json_reply
from bertblocks.serving.routes import READS, Route
from bertblocks.serving.service import Service

_DIALECT = "page"


class PageRoutes:
    """The page, and /v1/model.

    Args:
        service: What answers.
        needs_token: Whether a token is asked for.
    """

    def __init__(self, service: Service, *, needs_token: bool) -> None:
        self._service = service
        facts, limits = service.facts, service.limits
        # Read once, at the start: the model's folder may change afterwards.
        folder = Path(facts.folder)
        self._model = {
            "name": facts.name,
            "task": facts.task,
            "labels": facts.labels,
            "inputs": facts.inputs,
            "target": facts.target,
            "sequence_length": facts.sequence_length,
            "slides": facts.slides,
            "hidden_size": facts.hidden_size,
            "pooling": facts.pooling,
            "vocabulary_size": facts.vocabulary_size,
            "precision": facts.precision,
            "precision_reason": facts.precision_reason,
            "kernels": facts.kernels,
            "explains": facts.explains,
            "needs_token": needs_token,
            "limits": {
                "texts_per_request": limits.texts_per_request,
                "text_characters": limits.text_characters,
                "body_bytes": limits.body_bytes,
                "timeout_s": limits.timeout_s,
            },
            "card": read_card(folder),
            "scores": read_scores(folder),
            "version": __version__,
        }

    def routes(self) -> list[Route]:
        """Both."""
        return [
            Route(
                method="GET",
                path="/",
                handler=self.page,
                summary="A page to try the model on",
                dialect=_DIALECT,
                reply_type="text/html",
                errors=READS,
            ),
            Route(
                method="GET",
                path="/v1/model",
                handler=self.model,
                summary="The model: what it answers, its limits, its model card and its scores",
                dialect=_DIALECT,
                reply=schemas.record(
                    {
                        "name": schemas.STRING,
                        "task": schemas.STRING,
                        "labels": {"type": "array", "items": schemas.STRING},
                        "inputs": {"type": "array", "items": schemas.STRING},
                        "target": schemas.STRING,
                        "limits": {"type": "object"},
                    }
                ),
                errors=READS,
            ),
        ]

    async def page(self, request: Request) -> Response:
        """The page."""
        return _response(200)

    async def model(self, request: Request) -> Response:
        """What the page says about the model."""
        return json_reply(request, self._model)

    def greeting(self, scope: Scope) -> Response | None:
        """What a browser without a token gets: the same page, which asks for it and knows nothing."""
        if scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return None
        accepts = dict(scope["headers"]).get(b"accept", b"")
        if b"text/html" not in accepts:
            return None
        response = _response(401)
        # Without Basic, at which browsers would open a window of their own.
        response.headers["www-authenticate"] = 'Bearer realm="bertblocks"'
        return response


def _response(status: int) -> Response:
    html, policy = page_html()
    return Response(
        html,
        status,
        {"content-security-policy": policy, "cache-control": "no-store"},
        "text/html; charset=utf-8",
    )


@cache
def page_html() -> tuple[str, str]:
    """The page, the same for every model, and the policy that lets its own script run and no other."""
    folder = files(__package__)
    style = look() + (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    html = (folder / "page.html").read_text(encoding="utf-8")
    policy: dict[str, Any] = {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    filled = html.replace("{{style}}", style).replace("{{script}}", script)
    return filled, "; ".join(f"{name} {value}" for name, value in policy.items())


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
