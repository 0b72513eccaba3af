"""The routes of text-embeddings-inference, as far as the model that is served has them."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks._version import __version__
from bertblocks.serving import schemas
from bertblocks.serving.fields import Fields
from bertblocks.serving.replies import json_reply
from bertblocks.serving.routes import READS, Route
from bertblocks.serving.rows import RowCheck
from bertblocks.serving.service import Service
from bertblocks.serving.tei_embed import EmbedRoutes
from bertblocks.serving.tei_inputs import DIALECT, another_model, one_or_several, told
from bertblocks.serving.tei_predict import PredictRoutes


class TeiRoutes:
    """Answers as TEI does.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._facts = service.facts

    def routes(self) -> list[Route]:
        """All of them; those of another kind of model say that they are."""
        own = EmbedRoutes(self._service) if self._facts.gives_vectors else PredictRoutes(self._service)
        others = ("/predict",) if self._facts.gives_vectors else ("/embed", "/embed_all", "/similarity")
        return [
            *own.routes(),
            *(self._foreign(path) for path in others),
            self._tokenize_route(),
            Route(
                method="GET",
                path="/info",
                handler=self.info,
                summary="The model, and how much the server takes",
                dialect=DIALECT,
                reply=schemas.record(
                    {
                        "model_id": schemas.STRING,
                        "model_dtype": schemas.STRING,
                        "model_type": {"type": "object"},
                        "max_concurrent_requests": schemas.WHOLE,
                        "max_input_length": schemas.WHOLE,
                        "max_batch_tokens": schemas.WHOLE,
                        "max_client_batch_size": schemas.WHOLE,
                        "auto_truncate": schemas.TRUTH,
                        "tokenization_workers": schemas.WHOLE,
                        "version": schemas.STRING,
                    }
                ),
                errors=READS,
            ),
        ]

    def _foreign(self, path: str) -> Route:
        """A route of the other kind of model: not told of, but answered with a word."""
        return Route(
            method="POST",
            path=path,
            handler=self.foreign,
            summary="Of another kind of model",
            dialect=DIALECT,
            is_told=False,
        )

    async def foreign(self, request: Request) -> Response:
        """Say what kind of model this is."""
        raise another_model(self._facts)

    def _tokenize_route(self) -> Route:
        text = schemas.text(self._service.limits)
        inputs = {"anyOf": [text, schemas.rows(self._service.limits, text)]}
        token = schemas.record(
            {"id": schemas.WHOLE, "text": schemas.STRING, "special": schemas.TRUTH},
            {"start": schemas.optional(schemas.WHOLE), "stop": schemas.optional(schemas.WHOLE)},
        )
        return Route(
            method="POST",
            path="/tokenize",
            handler=self.tokenize,
            summary="The tokens that the model reads of each text",
            dialect=DIALECT,
            bodies={
                "application/json": schemas.record(
                    {"inputs": inputs}, {"add_special_tokens": schemas.optional(schemas.TRUTH, True)}
                )
            },
            reply={"type": "array", "items": schemas.or_error({"type": "array", "items": token})},
        )

    async def tokenize(self, request: Request) -> Response:
        """Tokens; of a model of pairs those of single texts."""
        body = Fields(await self._service.json(request))
        inputs = body.required("inputs", "a text, or a list of texts")
        special = body.flag("add_special_tokens", True)
        limits = self._service.limits
        check = RowCheck(self._facts, limits, "tokens", special=special, always_single=True)
        answers = await self._service.answer(request, one_or_several(inputs, check, limits))
        rows = [told(row, lambda answer: answer.value) for row in answers.rows]
        return json_reply(request, rows, answers.headers)

    async def info(self, request: Request) -> Response:
        """The model, and how much the server takes."""
        facts, limits = self._facts, self._service.limits
        labels = facts.labels or (facts.target,)
        kind: dict[str, Any] = {
            "classifier": {
                "id2label": {str(index): label for index, label in enumerate(labels)},
                "label2id": {label: index for index, label in enumerate(labels)},
            }
        }
        if facts.gives_vectors:
            kind = {"embedding": {"pooling": facts.pooling}}
        told_facts = {
            "model_id": facts.name,
            "model_sha": None,
            "model_dtype": facts.precision,
            "model_type": kind,
            "max_concurrent_requests": limits.concurrent_requests,
            "max_input_length": facts.sequence_length,
            "max_batch_tokens": facts.batch_tokens,
            "max_batch_requests": None,
            "max_client_batch_size": limits.texts_per_request,
            "auto_truncate": not facts.slides,
            "tokenization_workers": 1,
            "version": __version__,
        }
        return json_reply(request, told_facts)
