"""What those ask who look after a server: does it live, is it ready, how much does it do, how is it asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving import schemas
from bertblocks.serving.metrics import CONTENT_TYPE
from bertblocks.serving.problems import unavailable
from bertblocks.serving.replies import json_reply
from bertblocks.serving.routes import READS, Route
from bertblocks.serving.service import Service

_DIALECT = "operations"


class OperationRoutes:
    """/live, /health, /metrics and /openapi.json.

    Args:
        service: What answers.
        description: Gives the OpenAPI description of all routes.
    """

    def __init__(self, service: Service, description: Callable[[], Mapping[str, Any]]) -> None:
        self._service = service
        self._description = description

    def routes(self) -> list[Route]:
        """All four."""
        status = schemas.record({"status": schemas.STRING})
        return [
            Route(
                method="GET",
                path="/live",
                handler=self.live,
                summary="Whether the server lives; asked without a token",
                dialect=_DIALECT,
                reply=status,
                errors=(),
                is_open=True,
            ),
            Route(
                method="GET",
                path="/health",
                handler=self.health,
                summary="Whether it takes requests, its worker included; asked without a token",
                dialect=_DIALECT,
                reply=status,
                errors=(503,),
                is_open=True,
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                summary="What it counts, for Prometheus",
                dialect=_DIALECT,
                reply_type="text/plain",
                errors=READS,
            ),
            Route(
                method="GET",
                path="/openapi.json",
                handler=self.description,
                summary="This description",
                dialect=_DIALECT,
                reply={"type": "object"},
                errors=READS,
            ),
        ]

    async def live(self, request: Request) -> Response:
        """Whether the event loop goes round."""
        return json_reply(request, {"status": "live"})

    async def health(self, request: Request) -> Response:
        """Whether requests are taken."""
        if self._service.load.is_stopping:
            raise unavailable("The server is being stopped.", retry_after_s=5)
        if not self._service.engine.is_ready:
            raise unavailable("The model is being loaded.")
        return json_reply(request, {"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """All counts."""
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE)

    async def description(self, request: Request) -> Response:
        """The OpenAPI description."""
        return json_reply(request, self._description())
