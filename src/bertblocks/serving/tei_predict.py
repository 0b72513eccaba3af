"""/predict as text-embeddings-inference has it, for a model that predicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving import schemas
from bertblocks.serving.fields import Fields, kind_of
from bertblocks.serving.messages import Scores
from bertblocks.serving.problems import invalid
from bertblocks.serving.replies import json_reply
from bertblocks.serving.routes import Route, Schema
from bertblocks.serving.rows import Checked, RowCheck, check_number
from bertblocks.serving.service import Service
from bertblocks.serving.tei_inputs import CUT_FIELDS, DIALECT, lengths, reading, told

_FUNCTIONS = ("sigmoid", "softmax", "none")


class PredictRoutes:
    """Labels with their scores.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._facts = service.facts
        self._limits = service.limits

    def routes(self) -> list[Route]:
        """/predict, and where the hub's clients ask."""
        one = {"type": "array", "items": schemas.record({"score": schemas.NUMBER, "label": schemas.STRING})}
        shared: dict[str, Any] = {
            "method": "POST",
            "handler": self.predict,
            "dialect": DIALECT,
            "bodies": {"application/json": self._body()},
            "reply": {"anyOf": [one, {"type": "array", "items": schemas.or_error(one)}]},
        }
        return [
            Route(
                path="/predict",
                summary="Labels with their scores, the highest first",
                description=(
                    'One text is answered with a list of labels. ["a", "b"] is one pair of texts, as in '
                    'text-embeddings-inference; several rows are [["a"], ["b"]], and have a list of lists. '
                    + lengths(self._facts, self._limits)
                ),
                **shared,
            ),
            Route(
                path="/",
                summary="As /predict; where the clients of the Hugging Face hub ask",
                description="Where `parameters` is there, the reply is nested, as these clients expect.",
                **shared,
            ),
        ]

    def _body(self) -> Schema:
        row = schemas.row(self._facts, self._limits)
        several = {**schemas.rows(self._limits, row), "items": {"type": "array"}}
        one = [row] if self._facts.takes_pairs else [schemas.text(self._limits), row]
        parameters = schemas.record(
            {},
            {
                "function_to_apply": schemas.optional({"type": "string", "enum": list(_FUNCTIONS)}),
                "top_k": schemas.optional({"type": "integer", "minimum": 1}),
            },
        )
        return schemas.record(
            {"inputs": {"anyOf": [*one, several]}},
            {
                **CUT_FIELDS,
                "raw_scores": schemas.optional(schemas.TRUTH, False),
                "parameters": schemas.optional(parameters),
            },
        )

    async def predict(self, request: Request) -> Response:
        """Labels with their scores."""
        body = Fields(await self._service.json(request))
        inputs = body.required("inputs", "a text, a pair of texts or a list of rows")
        truncate, check = reading(self._service, body, "predict")
        raw = body.flag("raw_scores", False)
        parameters = body.object("parameters")
        function = parameters.choice("function_to_apply", _FUNCTIONS, "none" if raw else "")
        top_k = parameters.whole("top_k")
        checked, is_one = self._rows(inputs, check)
        answers = await self._service.answer(request, checked, truncate=truncate)
        rows = [
            told(row, lambda answer: self._labels(answer.value, function)[:top_k]) for row in answers.rows
        ]
        # The hub's clients read the first element of a nested list.
        value = rows[0] if is_one and "parameters" not in body else rows
        return json_reply(request, value, answers.headers)

    def _rows(self, inputs: Any, check: RowCheck) -> tuple[list[Checked], bool]:
        """The rows that stand in `inputs`, and whether it is a row itself, not a list of rows."""
        if isinstance(inputs, str):
            return [check.text(inputs)], True
        if not isinstance(inputs, list):
            raise invalid(f"inputs is {kind_of(inputs)}, expected a text or a list.", param="inputs")
        check_number(len(inputs), self._limits, "inputs")
        if not any(isinstance(row, list) for row in inputs):
            return [check.row(inputs)], True
        rows = [
            check.row(row) if isinstance(row, list) else invalid(f"A row is {kind_of(row)}, expected a list.")
            for row in inputs
        ]
        return rows, False

    def _labels(self, value: Scores, function: str) -> list[dict[str, Any]]:
        scores = value.scores
        if function == "none":
            scores = value.logits
        elif function and self._facts.labels:
            scores = _sigmoid(value.logits) if function == "sigmoid" else _softmax(value.logits)
        labels = self._facts.labels or (self._facts.target,)
        entries = [{"score": score, "label": label} for score, label in zip(scores, labels, strict=True)]
        return sorted(entries, key=lambda entry: entry["score"], reverse=True)


def _sigmoid(logits: Sequence[float]) -> list[float]:
    return [1 / (1 + math.exp(-logit)) if logit > -700 else 0.0 for logit in logits]


def _softmax(logits: Sequence[float]) -> list[float]:
    highest = max(logits)
    powers = [math.exp(logit - highest) for logit in logits]
    return [power / sum(powers) for power in powers]
