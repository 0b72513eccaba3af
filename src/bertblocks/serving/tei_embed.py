"""/embed, /embed_all and /similarity as text-embeddings-inference has them, for an encoder."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving import schemas
from bertblocks.serving.fields import Fields, kind_of
from bertblocks.serving.messages import Want
from bertblocks.serving.problems import RequestError, error_body, invalid
from bertblocks.serving.replies import json_reply, text_reply, to_json
from bertblocks.serving.routes import Route
from bertblocks.serving.rows import check_number
from bertblocks.serving.service import Answer, Service
from bertblocks.serving.tei_inputs import (
    CUT_FIELDS,
    DIALECT,
    check_dimensions,
    lengths,
    one_or_several,
    reading,
    told,
)


class EmbedRoutes:
    """Vectors.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._facts = service.facts
        self._limits = service.limits

    def routes(self) -> list[Route]:
        """All routes of an encoder."""
        text = schemas.text(self._limits)
        several = schemas.rows(self._limits, text)
        inputs = {"inputs": {"anyOf": [text, several]}}
        compared = schemas.record({"source_sentence": text, "sentences": several})
        cut = schemas.optional(schemas.record({}, CUT_FIELDS))
        embed = schemas.record(inputs, {**CUT_FIELDS, "normalize": schemas.optional(schemas.TRUTH, True)})
        vectors = {"type": "array", "items": schemas.VECTOR}
        return [
            self._route(
                "/embed", self.embed, f"A vector of {self._facts.hidden_size} numbers for each text", embed
            ),
            self._route("/", self.embed, "As /embed; where the clients of the Hugging Face hub ask", embed),
            self._route(
                "/embed_all",
                self.embed_all,
                "A vector for each token of each text",
                schemas.record(inputs, CUT_FIELDS),
                vectors,
            ),
            self._route(
                "/similarity",
                self.similarity,
                "The cosine of a sentence's vector and those of others",
                schemas.record({"inputs": compared}, {"parameters": cut}),
                schemas.NUMBER,
            ),
        ]

    def _route(
        self,
        path: str,
        handler: Any,
        summary: str,
        body: schemas.Schema,
        answer: schemas.Schema = schemas.VECTOR,
    ) -> Route:
        return Route(
            method="POST",
            path=path,
            handler=handler,
            summary=summary,
            description=lengths(self._facts, self._limits),
            dialect=DIALECT,
            bodies={"application/json": body},
            reply={"type": "array", "items": schemas.or_error(answer)},
            is_told=path != "/embed_all" or not self._facts.slides,
        )

    async def embed(self, request: Request) -> Response:
        """One vector a text."""
        body = Fields(await self._service.json(request))
        body.refuse("prompt_name", "this encoder has no prompts; put the words before the text.")
        if body.choice("encoding_format", ("float", "base64"), "float") != "float":
            raise invalid("encoding_format is base64, which /v1/embeddings has.", param="encoding_format")
        check_dimensions(body.whole("dimensions"), self._facts.hidden_size)
        return await self._vectors(request, body, "unit_vector" if body.flag("normalize", True) else "vector")

    async def embed_all(self, request: Request) -> Response:
        """One vector a token."""
        body = Fields(await self._service.json(request))
        if self._facts.slides:
            raise invalid(
                "This encoder reads texts in windows, in several of which a token stands: it has no vector "
                "for each token."
            )
        return await self._vectors(request, body, "sequence")

    async def _vectors(self, request: Request, body: Fields, want: Want) -> Response:
        inputs = body.required("inputs", "a text, or a list of texts")
        truncate, check = reading(self._service, body, want)
        checked = one_or_several(inputs, check, self._limits)
        answers = await self._service.answer(request, checked, truncate=truncate)
        # A vector is JSON already.
        rows = [
            row.value if isinstance(row, Answer) else to_json(error_body(row, "")) for row in answers.rows
        ]
        return text_reply(request, f"[{','.join(rows)}]", answers.headers)

    async def similarity(self, request: Request) -> Response:
        """Cosines."""
        body = Fields(await self._service.json(request))
        inputs = Fields(body.required("inputs", "source_sentence and sentences"), "inputs")
        source = inputs.required("source_sentence", "a text")
        sentences = inputs.required("sentences", "a list of texts")
        if not isinstance(sentences, list):
            raise invalid(f"sentences is {kind_of(sentences)}, expected a list of texts.", param="sentences")
        check_number(len(sentences), self._limits, "sentences")
        truncate, check = reading(self._service, body.object("parameters"), "unit_vector64")
        checked_source = check.text(source)
        if isinstance(checked_source, RequestError):
            raise invalid(f"source_sentence: {checked_source.message}", param="source_sentence")
        checked = [checked_source, *(check.text(sentence) for sentence in sentences)]
        answers = await self._service.answer(request, checked, truncate=truncate)
        first, *others = answers.rows
        for needed in (first, next((row for row in others if isinstance(row, Answer)), others[0])):
            if isinstance(needed, RequestError):
                raise needed
        assert isinstance(first, Answer), "anything else was raised"
        cosines = iter(_cosines(first.value, [row.value for row in others if isinstance(row, Answer)]))
        return json_reply(request, [told(row, lambda _: next(cosines)) for row in others], answers.headers)


def _cosines(source: str, others: Sequence[str]) -> list[float]:
    # Imported where it is needed: no other route needs it in this process.
    import numpy as np

    vectors = [np.frombuffer(base64.b64decode(coded), dtype="<f4") for coded in (source, *others)]
    return [round(float(value), 7) for value in np.stack(vectors[1:]) @ vectors[0]]
