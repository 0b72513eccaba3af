"""Our own routes: everything that is known about each answer, and which words made it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving import schemas
from bertblocks.serving.fields import Fields, kind_of
from bertblocks.serving.messages import Scores
from bertblocks.serving.problems import RequestError, error_body, invalid
from bertblocks.serving.replies import json_reply
from bertblocks.serving.routes import Route
from bertblocks.serving.rows import Checked, RowCheck, check_number
from bertblocks.serving.service import Answer, Service
from bertblocks.serving.tei_inputs import another_model, lengths

_DIALECT = "bertblocks"


class NativeRoutes:
    """/v1/predict and /v1/explain.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._facts = service.facts
        self._limits = service.limits

    def routes(self) -> list[Route]:
        """Both; of an encoder they only say what it is."""
        predicts = not self._facts.gives_vectors
        return [
            Route(
                method="POST",
                path="/v1/predict",
                handler=self.predict,
                summary="The answer to each text, with all that is known about it",
                description=(
                    "Each answer has the probabilities of all labels, and tells how many tokens the text "
                    "had, whether it was cut and how many tokens are unknown. "
                    + ("A text is a list of two: this model takes pairs. " if self._facts.takes_pairs else "")
                    + lengths(self._facts, self._limits)
                ),
                dialect=_DIALECT,
                bodies={
                    "application/json": schemas.record(
                        {"texts": schemas.rows(self._limits, self._text())},
                        {"truncate": schemas.optional(schemas.TRUTH, True)},
                    )
                },
                reply=self._reply(),
                is_told=predicts,
            ),
            Route(
                method="POST",
                path="/v1/explain",
                handler=self.explain,
                summary="Which words made the answer to a text",
                description=(
                    "A word's weight is how far the output falls without it: the log-odds of the label, or "
                    "the number. It takes as long as answering the text once for each of its words."
                ),
                dialect=_DIALECT,
                bodies={"application/json": schemas.record({"text": self._text()})},
                reply={"type": "object", "required": ["words"]},
                is_told=predicts and self._facts.explains,
            ),
        ]

    def _text(self) -> schemas.Schema:
        """What is asked about: a text, or a list of two where the model takes pairs."""
        return schemas.pair(self._limits) if self._facts.takes_pairs else schemas.text(self._limits)

    def _reply(self) -> schemas.Schema:
        labels = {"type": "string", **({"enum": list(self._facts.labels)} if self._facts.labels else {})}
        kinds: dict[str, schemas.Schema] = {
            "regression": schemas.NUMBER,
            "multilabel": {"type": "array", "items": labels},
        }
        answer = schemas.record(
            {
                "prediction": kinds.get(self._facts.task, labels),
                "probabilities": {"type": "object", "additionalProperties": schemas.NUMBER},
                "num_tokens": schemas.WHOLE,
                "truncated": schemas.TRUTH,
                "num_unknown": schemas.WHOLE,
            }
        )
        return schemas.record(
            {
                "model": schemas.STRING,
                "target": schemas.STRING,
                "predictions": {"type": "array", "items": schemas.or_error(answer)},
            }
        )

    async def predict(self, request: Request) -> Response:
        """The answer to each text."""
        if self._facts.gives_vectors:
            raise another_model(self._facts)
        body = Fields(await self._service.json(request))
        truncate = body.flag("truncate", True)
        check = RowCheck(self._facts, self._limits, "predict")
        answers = await self._service.answer(request, self._rows(body, check), truncate=truncate)
        reply = {
            "model": self._facts.name,
            "target": self._facts.target,
            "predictions": [self._told(row) for row in answers.rows],
        }
        return json_reply(request, reply, answers.headers)

    def _rows(self, body: Fields, check: RowCheck) -> list[Checked]:
        texts = body.required("texts", "a list of texts")
        if not isinstance(texts, list):
            raise invalid(f"texts is {kind_of(texts)}, expected a list of texts.", param="texts")
        check_number(len(texts), self._limits, "texts")
        return [self._row(text, check) for text in texts]

    def _row(self, text: Any, check: RowCheck) -> Checked:
        if not self._facts.takes_pairs:
            return check.text(text)
        if not isinstance(text, list):
            return invalid(f"Expected a list of two texts, found {kind_of(text)}.")
        return check.row(text)

    def _told(self, row: Answer | RequestError) -> dict[str, Any]:
        if isinstance(row, RequestError):
            return error_body(row, "")
        value: Scores = row.value
        return {
            "prediction": value.answer,
            "probabilities": dict(zip(self._facts.labels, value.scores, strict=False)),
            "num_tokens": row.num_tokens,
            "truncated": row.truncated,
            "num_unknown": row.num_unknown,
        }

    async def explain(self, request: Request) -> Response:
        """Which words made an answer."""
        if self._facts.gives_vectors:
            raise another_model(self._facts)
        if not self._facts.explains:
            raise RequestError(
                501, "Backend", "This version of bertblocks cannot tell which words made an answer."
            )
        body = Fields(await self._service.json(request))
        check = RowCheck(self._facts, self._limits, "explain")
        checked = self._row(body.required("text", "a text"), check)
        answers = await self._service.answer(request, [checked])
        return json_reply(request, answers.good()[0].value, answers.headers)
