"""The ASGI application: the table of routes, and the gate around it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from bertblocks.serving.access import Access
from bertblocks.serving.deployment import DeploymentRoutes
from bertblocks.serving.description import describe
from bertblocks.serving.gate import Gate
from bertblocks.serving.native import NativeRoutes
from bertblocks.serving.openai_embeddings import OpenAIRoutes
from bertblocks.serving.operations import OperationRoutes
from bertblocks.serving.page import PageRoutes
from bertblocks.serving.problems import RequestError
from bertblocks.serving.routes import Route
from bertblocks.serving.service import Service
from bertblocks.serving.settings import ServerSettings
from bertblocks.serving.tei import TeiRoutes


def build_app(service: Service, settings: ServerSettings) -> ASGIApp:
    """Everything that answers.

    Args:
        service: What the routes need.
        settings: Tokens, origins and what is logged.
    """
    access = Access(settings.tokens)
    routes: list[Route] = []

    def description() -> dict[str, object]:
        return describe(routes, service.facts, service.limits, needs_token=not access.is_open)

    page = PageRoutes(service, needs_token=not access.is_open)
    routes += [
        *NativeRoutes(service).routes(),
        *TeiRoutes(service).routes(),
        *OpenAIRoutes(service).routes(),
        *DeploymentRoutes(service).routes(),
        *page.routes(),
        *OperationRoutes(service, description).routes(),
    ]
    gate: ASGIApp = Gate(
        _router(routes),
        access=access,
        open_paths=frozenset(route.path for route in routes if route.is_open),
        limits=service.limits,
        load=service.load,
        metrics=service.metrics,
        access_log=settings.access_log,
        greeting=page.greeting,
    )
    if settings.allow_origins:
        # Outside: a browser asks beforehand, without a token.
        gate = CORSMiddleware(
            gate,
            allow_origins=settings.allow_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["retry-after", "x-compute-tokens"],
        )
    return gate


def _router(routes: Sequence[Route]) -> ASGIApp:
    router = Router(
        [StarletteRoute(route.path, _endpoint(route), methods=[route.method]) for route in routes],
        redirect_slashes=False,
    )
    methods: dict[str, set[str]] = {}
    for route in routes:
        methods.setdefault(route.path, set()).add(route.method)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # It makes the router raise, instead of answering in words of its own.
        scope["app"] = router
        try:
            await router(scope, receive, send)
        except HTTPException as error:
            raise _of_router(error) from error

    return answer


def _endpoint(route: Route) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        request.scope["bertblocks.route"] = route.path
        return await route.handler(request)

    return answer


def _of_router(error: HTTPException) -> RequestError:
    if error.status_code == 405:
        return RequestError(405, "Validation", "This address is there for another method: see /openapi.json.")
    return RequestError(
        error.status_code,
        "Validation",
        "There is nothing at this address: see /openapi.json for what there is.",
    )
