"""Whether the values of a declaration have the types of its fields: JSON and callers may give any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints


def type_problems(declaration: Any) -> Iterator[str]:
    """What is wrong with the types of a dataclass's values; nothing where all are as declared.

    Args:
        declaration: Its fields are of the kinds int, float, str, bool, Literal of texts, tuple[X, ...] and
            X | None.
    """
    kinds = get_type_hints(type(declaration))
    for field in fields(declaration):
        value = getattr(declaration, field.name)
        if not _is_a(value, kinds[field.name]):
            yield f"{field.name} is {value!r:.100}, but must be {_in_words(kinds[field.name])}" + (
                nearest(value, get_args(kinds[field.name]))
            )


def nearest(word: Any, choices: Iterable[Any]) -> str:
    """Ask after the choice that was probably meant, at a sentence's end; empty where none is near."""
    close = get_close_matches(str(word), [choice for choice in choices if isinstance(choice, str)], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_a(item, get_args(kind)[0]) for item in value)
    if isinstance(kind, UnionType):
        return any(_is_a(value, part) for part in get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a tuple, and each item {_in_words(get_args(kind)[0])}"
    if isinstance(kind, UnionType):
        return " or ".join(map(_in_words, get_args(kind)))
    return {NoneType: "None", int: "an int", float: "a float", str: "a str", bool: "True or False"}[kind]
