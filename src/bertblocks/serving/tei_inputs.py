"""What the routes of text-embeddings-inference have in common: how texts are sent, cut and answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bertblocks.serving import schemas
from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.fields import Fields, kind_of
from bertblocks.serving.messages import Want
from bertblocks.serving.problems import RequestError, error_body, invalid
from bertblocks.serving.rows import Checked, RowCheck, check_number
from bertblocks.serving.service import Answer, Service
from bertblocks.serving.settings import Limits

DIALECT = "text-embeddings-inference"
_DIRECTIONS = ("right", "left")
CUT_FIELDS = {
    "truncate": schemas.optional(schemas.TRUTH, True),
    "truncation_direction": schemas.optional({"type": "string", "enum": list(_DIRECTIONS)}, "right"),
}


def reading(service: Service, body: Fields, want: Want) -> tuple[bool, RowCheck]:
    """Whether texts that are too long are cut, and what checks the texts.

    Raises:
        RequestError: If a field cannot be used.
    """
    from_left = body.choice("truncation_direction", _DIRECTIONS, "right") == "left"
    return body.flag("truncate", True), RowCheck(service.facts, service.limits, want, from_left=from_left)


def one_or_several(inputs: Any, check: RowCheck, limits: Limits) -> list[Checked]:
    """A text, or a list of texts.

    Raises:
        RequestError: If it is something else, empty or too long a list.
    """
    if isinstance(inputs, str):
        return [check.text(inputs)]
    if not isinstance(inputs, list):
        raise invalid(f"inputs is {kind_of(inputs)}, expected a text or a list of texts.", param="inputs")
    check_number(len(inputs), limits, "inputs")
    return [check.text(text) for text in inputs]


def told(row: Answer | RequestError, tell: Callable[[Answer], Any]) -> Any:
    """What stands for a row in a reply: what is told of its answer, or what is wrong with it."""
    return error_body(row, "") if isinstance(row, RequestError) else tell(row)


def lengths(facts: ModelFacts, limits: Limits) -> str:
    """What becomes of long texts, in words."""
    longer = "read in windows" if facts.slides else "cut, unless truncate is false"
    return (
        f"Texts of more than {facts.sequence_length} tokens are {longer}; a text may have "
        f"{limits.text_characters:,} characters."
    )


def another_model(facts: ModelFacts) -> RequestError:
    """What a route answers that this kind of model has not."""
    has = f"predicts {facts.target!r}: ask /predict or /v1/predict"
    if facts.gives_vectors:
        has = "gives vectors: ask /embed or /v1/embeddings"
    return RequestError(424, "Backend", f"The model that is served here {has}.")


def check_dimensions(dimensions: int | None, hidden_size: int) -> None:
    """Refuse to shorten vectors.

    Raises:
        RequestError: If fewer or more numbers are asked for than vectors have.
    """
    if dimensions is not None and dimensions != hidden_size:
        raise invalid(
            f"This encoder's vectors have {hidden_size} numbers, and it was not trained for fewer or more: "
            "leave dimensions out.",
            param="dimensions",
        )
