"""The fields of a JSON object, each checked when it is read: what was found, what was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertblocks.serving.problems import invalid

_KINDS = {
    "NoneType": "null",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "str": "a text",
    "list": "a list",
    "dict": "an object",
}


def kind_of(value: Any) -> str:
    """What sort of JSON a value is; never the value itself, which may be what an answer cannot carry."""
    return _KINDS.get(type(value).__name__, "something else")


class Fields:
    """Reads an object field by field. Unknown fields are left alone: clients send more than is asked for.

    Args:
        value: What was parsed.
        name: What it is called in messages.

    Raises:
        RequestError: If it is no object.
    """

    def __init__(self, value: Any, name: str = "the body") -> None:
        if not isinstance(value, Mapping):
            raise invalid(f"Expected {name} to be a JSON object, found {kind_of(value)}.")
        self._values = value

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def required(self, name: str, expected: str) -> Any:
        """A value that must be there.

        Raises:
            RequestError: If it is missing, or null.
        """
        value = self._values.get(name)
        if value is None:
            raise invalid(f"The field {name!r} is missing: expected {expected}.", param=name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false; the default where it is missing or null.

        Raises:
            RequestError: If it is anything else.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def choice(self, name: str, known: Sequence[str], default: str) -> str:
        """One of some words; the default where it is missing or null.

        Raises:
            RequestError: If it is anything else.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str) or value not in known:
            found = "another text" if isinstance(value, str) else kind_of(value)
            raise invalid(f"{name} is {found}, expected one of {', '.join(known)}.", param=name)
        return value

    def whole(self, name: str, least: int = 1) -> int | None:
        """A whole number; None where it is missing or null.

        Raises:
            RequestError: If it is anything else, or less than `least`.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            # JSON knows no difference between 3 and 3.0.
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self._wrong(name, value, f"a whole number from {least}")
        return value

    def text(self, name: str) -> str | None:
        """A text; None where it is missing or null.

        Raises:
            RequestError: If it is anything else.
        """
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, value, "a text")
        return value

    def object(self, name: str) -> Fields:
        """An object; an empty one where it is missing or null.

        Raises:
            RequestError: If it is anything else.
        """
        value = self._values.get(name)
        return Fields({} if value is None else value, name)

    def refuse(self, name: str, why: str) -> None:
        """Refuse a field that could have no effect.

        Raises:
            RequestError: If it is there, and not null.
        """
        if self._values.get(name) is not None:
            raise invalid(f"{name} cannot be used: {why}", param=name)

    def _wrong(self, name: str, value: Any, expected: str) -> Exception:
        found = kind_of(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = f"{value:.6g}" if abs(value) < 1e15 else "a very large number"
        return invalid(f"{name} is {found}, expected {expected}.", param=name)
