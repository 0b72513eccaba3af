"""/v1/embeddings as the clients of OpenAI ask for it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bertblocks.serving import schemas
from bertblocks.serving.fields import Fields, kind_of
from bertblocks.serving.problems import invalid
from bertblocks.serving.replies import text_reply, to_json
from bertblocks.serving.routes import Route
from bertblocks.serving.rows import Checked, RowCheck, check_number
from bertblocks.serving.service import Service
from bertblocks.serving.tei_inputs import another_model, check_dimensions, lengths

_FORMATS = ("float", "base64")


class OpenAIRoutes:
    """Vectors of length 1, as float or base64.

    Args:
        service: What answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._facts = service.facts
        self._limits = service.limits

    def routes(self) -> list[Route]:
        """/v1/embeddings."""
        text = schemas.text(self._limits)
        # All of them must be readable: these clients know of no answer without a vector.
        several = {"type": "array", "minItems": 1, "maxItems": self._limits.texts_per_request, "items": text}
        size = self._facts.hidden_size
        vector = schemas.record(
            {
                "object": {"const": "embedding"},
                "embedding": {"anyOf": [schemas.VECTOR, schemas.STRING]},
                "index": schemas.WHOLE,
            }
        )
        usage = schemas.record({"prompt_tokens": schemas.WHOLE, "total_tokens": schemas.WHOLE})
        return [
            Route(
                method="POST",
                path="/v1/embeddings",
                handler=self.embeddings,
                summary="A vector for each text, as the clients of OpenAI ask for it",
                description=(
                    f"Vectors have {size} numbers and the length 1; base64 is of float32, least significant "
                    "byte first. Every text must be readable, or none is answered. Token ids are not taken. "
                    + lengths(self._facts, self._limits)
                ),
                dialect="OpenAI",
                bodies={
                    "application/json": schemas.record(
                        {"input": {"anyOf": [text, several]}},
                        {
                            "model": schemas.optional(schemas.STRING),
                            "encoding_format": schemas.optional(
                                {"type": "string", "enum": list(_FORMATS)}, "float"
                            ),
                            "dimensions": schemas.optional(
                                {"type": "integer", "minimum": size, "maximum": size}
                            ),
                            "user": schemas.optional(schemas.STRING),
                        },
                    )
                },
                reply=schemas.record(
                    {
                        "object": {"const": "list"},
                        "data": {"type": "array", "items": vector},
                        "model": schemas.STRING,
                        "usage": usage,
                    }
                ),
                is_told=self._facts.gives_vectors,
            )
        ]

    async def embeddings(self, request: Request) -> Response:
        """Vectors of all texts, or of none."""
        if not self._facts.gives_vectors:
            raise another_model(self._facts)
        body = Fields(await self._service.json(request))
        is_base64 = body.choice("encoding_format", _FORMATS, "float") == "base64"
        check_dimensions(body.whole("dimensions"), self._facts.hidden_size)
        body.text("model")
        body.text("user")
        check = RowCheck(self._facts, self._limits, "unit_vector64" if is_base64 else "unit_vector")
        checked = self._texts(body.required("input", "a text, or a list of texts"), check)
        answers = await self._service.answer(request, checked)
        vectors = [f'"{row.value}"' if is_base64 else row.value for row in answers.good()]
        data = [
            f'{{"object":"embedding","index":{index},"embedding":{vector}}}'
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": answers.num_tokens, "total_tokens": answers.num_tokens}
        # The rest around the data, which is JSON already.
        reply = (
            f'{{"object":"list","data":[{",".join(data)}],"model":{to_json(self._facts.name)},'
            f'"usage":{to_json(usage)}}}'
        )
        return text_reply(request, reply, answers.headers)

    def _texts(self, given: Any, check: RowCheck) -> list[Checked]:
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list):
            raise invalid(f"input is {kind_of(given)}, expected a text or a list of texts.", param="input")
        check_number(len(texts), self._limits, "input")
        first = texts[0][0] if isinstance(texts[0], list) and texts[0] else texts[0]
        if isinstance(first, int | float) and not isinstance(first, bool):
            raise invalid(
                "input holds token ids, which are of another model's tokenizer: send texts. LangChain does "
                "so with check_embedding_ctx_length=False.",
                param="input",
            )
        checked = [check.text(text) for text in texts]
        if wrong := [(index, row) for index, row in enumerate(checked) if isinstance(row, Exception)]:
            index, problem = wrong[0]
            more = f" {len(wrong) - 1:,} more texts cannot be read." if len(wrong) > 1 else ""
            raise invalid(
                f"input[{index}]: {problem}{more}", param="input", bound=getattr(problem, "bound", None)
            )
        return checked
