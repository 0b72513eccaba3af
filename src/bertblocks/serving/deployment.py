"""The deployment API of the retired platform, for its clients as they are.

A deployment's id is whatever stands in its address: one model is served, so that an old client needs another
host and nothing else.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving import schemas
from bertblocks.serving.fields import Fields, kind_of
from bertblocks.serving.messages import Scores
from bertblocks.serving.problems import RequestError, invalid
from bertblocks.serving.reading import parse_json
from bertblocks.serving.replies import json_reply
from bertblocks.serving.routes import READS, Route, Schema
from bertblocks.serving.rows import Checked, RowCheck, check_number
from bertblocks.serving.service import Answer, Service
from bertblocks.serving.tei_inputs import another_model, lengths

_DIALECT = "deployment"
_FORWARD = "/deployment/{deploymentId}/forward"
_MOST_FIELDS = 100
_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_ID: Schema = {"name": "deploymentId", "in": "path", "required": True, "schema": {"type": "string"}}
_PARTIAL: Schema = {
    "name": "partial",
    "in": "query",
    "description": "Whether rows that cannot be read leave the others their answers.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}


class DeploymentRoutes:
    """Rows in, predictions out, each by the name of its column.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._facts = service.facts
        self._limits = service.limits

    def routes(self) -> list[Route]:
        """forward, and what describes it."""
        example = schemas.record(dict.fromkeys(self._facts.inputs, schemas.text(self._limits)))
        rows = schemas.rows(self._limits, example)
        answer = schemas.record({self._facts.target: self._answer_schema()})
        # What stands in place of a row with ?partial=true.
        error = schemas.record({"error": schemas.STRING})
        several = schemas.record({"rows": {"type": "array", "items": {"anyOf": [answer, error]}}})
        return [
            Route(
                method="POST",
                path=_FORWARD,
                handler=self.forward,
                summary="Predictions for rows, or for the one example of a form",
                description=(
                    "As the retired platform's deployments answered. A row that cannot be read fails the "
                    "whole request, unless partial is true. " + lengths(self._facts, self._limits)
                ),
                dialect=_DIALECT,
                bodies={
                    "application/json": schemas.record({"rows": {**rows, "items": example}}),
                    _FORM: example,
                    _MULTIPART: example,
                },
                reply={"anyOf": [several, answer]},
                parameters=(_ID, _PARTIAL),
                is_told=not self._facts.gives_vectors,
            ),
            Route(
                method="GET",
                path="/deployment/{deploymentId}/openapi.json",
                handler=self.described,
                summary="The deployment's own description, as its clients read it",
                dialect=_DIALECT,
                reply=schemas.record({"paths": {"type": "object"}, "components": {"type": "object"}}),
                parameters=(_ID,),
                errors=READS,
                is_told=not self._facts.gives_vectors,
            ),
        ]

    async def forward(self, request: Request) -> Response:
        """Predictions for rows."""
        if self._facts.gives_vectors:
            raise another_model(self._facts)
        partial = request.query_params.get("partial", "false").lower()
        if partial not in ("true", "false"):
            raise invalid("partial is another word, expected true or false.", param="partial")
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind in (_FORM, _MULTIPART):
            values = await self._form(request, is_multipart=kind == _MULTIPART)
            answers = await self._service.answer(request, [self._checked(values)])
            return json_reply(request, self._told(answers.good()[0]), answers.headers)
        if kind not in ("application/json", ""):
            raise RequestError(
                415,
                "Validation",
                f"Expected a body of content-type application/json, {_FORM} or {_MULTIPART}.",
            )
        body = Fields(parse_json(await self._service.body(request)))
        rows = body.required("rows", "a list of rows")
        if not isinstance(rows, list):
            raise invalid(f"rows is {kind_of(rows)}, expected a list of rows.", param="rows")
        check_number(len(rows), self._limits, "rows")
        checked = [self._checked(row) for row in rows]
        if partial == "false":
            _refuse_faulty(checked)
        answers = await self._service.answer(request, checked)
        found = answers.rows if partial == "true" else answers.good()
        told = [{"error": row.message} if isinstance(row, RequestError) else self._told(row) for row in found]
        return json_reply(request, {"rows": told}, answers.headers)

    def _checked(self, row: Any) -> Checked:
        if not isinstance(row, dict):
            return invalid(f"A row is {kind_of(row)}, expected an object with {self._named_inputs()}.")
        missing = [name for name in self._facts.inputs if row.get(name) is None]
        if missing:
            return invalid(f"A row lacks {' and '.join(map(repr, missing))}.")
        check = RowCheck(self._facts, self._limits, "predict")
        return check.row([row[name] for name in self._facts.inputs])

    def _named_inputs(self) -> str:
        return " and ".join(map(repr, self._facts.inputs))

    async def _form(self, request: Request, *, is_multipart: bool) -> dict[str, Any]:
        """The fields of a form; a file is read as text."""
        body = await self._service.body(request)
        if not is_multipart:
            try:
                pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
            except ValueError as error:
                raise invalid(
                    f"The form cannot be read: it is not UTF-8, or has over {_MOST_FIELDS} fields."
                ) from error
            return dict(pairs)
        again = Request(request.scope, _replayed(body))
        try:
            async with again.form(
                max_files=_MOST_FIELDS, max_fields=_MOST_FIELDS, max_part_size=self._limits.body_bytes
            ) as form:
                return {name: await _as_text(value) for name, value in form.multi_items()}
        except (MultiPartException, FormParserError, KeyError, ValueError) as error:
            raise invalid(
                "The multipart form cannot be read: its parts are not as its boundary says."
            ) from error
        except Exception as error:
            # Starlette turns what it finds wrong into an answer of its own.
            if getattr(error, "status_code", None) == 400:
                raise invalid("The multipart form cannot be read.") from error
            raise

    def _told(self, row: Answer) -> dict[str, Any]:
        value: Scores = row.value
        if self._facts.task == "regression":
            return {self._facts.target: value.scores[0]}
        if self._facts.task == "binary":
            return {self._facts.target: value.scores[1]}
        return {self._facts.target: dict(zip(self._facts.labels, value.scores, strict=True))}

    def _answer_schema(self) -> Schema:
        if self._facts.task in ("regression", "binary"):
            return schemas.NUMBER
        return schemas.record(dict.fromkeys(self._facts.labels, schemas.NUMBER))

    async def described(self, request: Request) -> Response:
        """What the platform's client reads, in a description that is valid besides."""
        if self._facts.gives_vectors:
            raise another_model(self._facts)
        kinds = {"regression": "numeric", "binary": "binary"}
        size = 1 if self._facts.task in kinds else len(self._facts.labels)
        target = {
            **self._answer_schema(),
            "x-peltarion": {"type": kinds.get(self._facts.task, "categorical"), "shape": [size]},
        }
        text = {**schemas.text(self._limits), "x-peltarion": {"type": "text", "shape": [1]}}
        row = {
            "type": "object",
            "required": list(self._facts.inputs),
            "properties": dict.fromkeys(self._facts.inputs, text),
        }
        # Its client looks for the columns of a row beside the items that a list must have.
        columns = {self._facts.target: target}
        batch = {
            "type": "object",
            "properties": {
                "rows": {"type": "array", "items": schemas.record(columns), "properties": columns}
            },
        }
        batch_in = {
            "type": "object",
            "required": ["rows"],
            "properties": {"rows": {"type": "array", "items": {"$ref": "#/components/schemas/input-row"}}},
        }
        forward = {
            "x-peltarion-tensorjson": True,
            "post": {
                "operationId": "forward",
                "parameters": [_ID],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/input-row-batch"}},
                        _FORM: {"schema": {"$ref": "#/components/schemas/input-row"}},
                        _MULTIPART: {"schema": {"$ref": "#/components/schemas/input-row"}},
                    }
                },
                "responses": {
                    "200": {
                        "description": "Predictions",
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/output-row-batch"}}
                        },
                    }
                },
                "security": [{"bearer": []}, {"basic": []}],
            },
        }
        return json_reply(
            request,
            {
                "openapi": "3.1.0",
                "info": {"title": self._facts.name, "version": "1"},
                "paths": {_FORWARD: forward},
                "components": {
                    "schemas": {"input-row": row, "input-row-batch": batch_in, "output-row-batch": batch},
                    "securitySchemes": {
                        "bearer": {"type": "http", "scheme": "bearer"},
                        "basic": {"type": "http", "scheme": "basic"},
                    },
                },
            },
        )


def _refuse_faulty(checked: list[Checked]) -> None:
    """The platform's rule: a faulty row fails the whole request.

    Raises:
        RequestError: If there is one; names the first few.
    """
    wrong = [(index, row) for index, row in enumerate(checked) if isinstance(row, RequestError)]
    if not wrong:
        return
    told = " ".join(f"rows[{index}]: {problem.message}" for index, problem in wrong[:5])
    more = f" And {len(wrong) - 5:,} more." if len(wrong) > 5 else ""
    raise invalid(f"{told}{more} With ?partial=true the other rows are answered.", bound=wrong[0][1].bound)


async def _as_text(value: str | UploadFile) -> str:
    if isinstance(value, str):
        return value
    return (await value.read()).decode("utf-8")


def _replayed(body: bytes) -> Any:
    """What gives a body that has been read to whoever wants to read it again."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
