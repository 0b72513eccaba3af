"""JSON schemas that several routes share: what a text is, what a row is, what an answer looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertblocks.serving.facts import ModelFacts
from bertblocks.serving.settings import Limits

Schema = Mapping[str, Any]

STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
TRUTH: Schema = {"type": "boolean"}
VECTOR: Schema = {"type": "array", "items": NUMBER}


def optional(schema: Schema, default: Any = None) -> Schema:
    """A field that may be missing or null."""
    known = {"default": default} if default is not None else {}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None], "type": ["string", "null"], **known}
    return {**schema, "type": [schema["type"], "null"], **known}


def record(required: Mapping[str, Schema], more: Mapping[str, Schema] | None = None) -> Schema:
    """An object; it may have other fields too, which mean nothing."""
    return {"type": "object", "required": list(required), "properties": {**required, **(more or {})}}


def text(limits: Limits) -> Schema:
    """A text that can be read: not blank, and not too long."""
    return {"type": "string", "minLength": 1, "maxLength": limits.text_characters, "pattern": r"\S"}


def rows(limits: Limits, row: Schema) -> Schema:
    """A list of rows of which at least one can be read; each other one is answered with an error."""
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": limits.texts_per_request,
        "contains": row,
        "description": (
            f"1 to {limits.texts_per_request:,} rows. At least one must be readable; each other one has an "
            "error in place of its answer."
        ),
    }


def pair(limits: Limits) -> Schema:
    """Two texts; together no longer than one may be."""
    half = {**text(limits), "maxLength": limits.text_characters // 2}
    return {"type": "array", "minItems": 2, "maxItems": 2, "items": half}


def row(facts: ModelFacts, limits: Limits) -> Schema:
    """A row as TEI has it: a list of one text, or of two."""
    if facts.takes_pairs:
        return pair(limits)
    return {"type": "array", "minItems": 1, "maxItems": 1, "items": text(limits)}


def error() -> Schema:
    """What stands in place of a row's answer, and what every failed request is answered with."""
    limit = record({"name": STRING, "limit": NUMBER}, {"found": optional(NUMBER)})
    return record({"error": STRING, "error_type": STRING}, {"limit": limit})


def or_error(answer: Schema) -> Schema:
    """A row's answer, or what is wrong with the row."""
    return {"anyOf": [answer, error()]}
