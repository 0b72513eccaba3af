"""HTTP: a model's answers for clients of several kinds, over one queue and one worker."""

from __future__ import annotations

from collections.abc import Callable

from bertblocks.errors import MissingPackageError
from bertblocks.serving.access import TOKENS_VARIABLE, read_tokens
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.settings import Limits, ServerSettings

__all__ = ["TOKENS_VARIABLE", "Limits", "ModelFacts", "ServerSettings", "read_tokens", "serve"]

_PACKAGES = ("starlette", "uvicorn", "h11", "anyio", "prometheus_client", "python_multipart", "markdown_it")


def serve(settings: ServerSettings, on_ready: Callable[[ModelFacts, str], None]) -> None:
    """Serve until a signal says to stop; returns when everything that was accepted is answered.

    Args:
        settings: What, where, and how much.
        on_ready: Called with the model and the server's address when requests are taken.

    Raises:
        MissingPackageError: If what the extra "serve" brings is not installed.
        BertBlocksError: If the model cannot be loaded, or the address cannot be used.
    """
    try:
        from bertblocks.serving import server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _PACKAGES:
            raise
        raise MissingPackageError("A server", error.name.partition(".")[0], "serve") from error
    server.serve(settings, on_ready)
