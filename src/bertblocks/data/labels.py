"""Target values as labels (always strings), numbers, or lists of labels."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable
from typing import Any

from bertblocks.data.values import shown
from bertblocks.errors import ConfigError, DataError

# Negative first. Compared without letter case.
_YES_NO = (
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("0", "1"),
    ("-1", "1"),
    ("off", "on"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("nein", "ja"),
    ("nee", "ja"),
    ("nej", "ja"),
    ("non", "oui"),
    ("no", "si"),
    ("no", "sí"),
    ("não", "sim"),
    ("nie", "tak"),
    ("нет", "да"),
    ("否", "是"),
)
# Without a leading zero: 007 and 01 are codes, whose zeros matter, not numbers.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST_INTEGER_LABEL = 2.0**53


def label_of(value: Any) -> str:
    """A value as a label: text without the white space around it, "true" and "false", 3 for 3.0.

    Raises:
        DataError: If it is neither text, finite number nor truth value.
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    raise DataError(f"expected a label, found {shown(value)}")


def number_of(value: Any) -> float | None:
    """A value as a number; None if it is none (a truth value, a text that is no number, a list).

    A text may be written as 3, -3.5 or 1e-3. Infinity and NaN come through as floats only, for the caller
    to refuse.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return _float(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return None


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def numeric_label(number: float) -> str:
    """The label of a number: "3" for 3.0."""
    whole = number.is_integer() and abs(number) <= _LARGEST_INTEGER_LABEL
    return str(int(number)) if whole else repr(number)


def check_separator(separator: str | None) -> None:
    """Refuse a separator that nothing can be split at.

    Raises:
        ConfigError: If it is empty.
    """
    if separator == "":
        raise ConfigError("label_separator is empty, but must be at least one character, such as '|'.")


def label_list(value: Any, separator: str | None) -> list[str]:
    """The labels of one row, each once, in their order.

    Args:
        value: A list of labels; a text split at the separator; without one a text such as '["a", "b"]', or a
            single label.
        separator: What stands between labels in a text.

    Raises:
        DataError: If an element is no label, or blank.
    """
    parts: Iterable[Any]
    if isinstance(value, (list, tuple)):
        parts = value
    elif separator is not None and isinstance(value, str):
        parts = [part for part in value.split(separator) if part.strip()]
    else:
        written = written_list(value)
        parts = [value] if written is None else written
    labels = [label_of(part) for part in parts]
    if not all(labels):
        raise DataError(f"a label is blank in {shown(value)}")
    return list(dict.fromkeys(labels))


def written_list(value: Any) -> list[Any] | None:
    """The list that a text such as '["a", "b"]' (JSON or Python) stands for; None if it is none."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return found if isinstance(found, list) else None
    return None


def sorted_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in their order: numbers by size ("2" before "10"), otherwise by code point."""
    unique = sorted(set(labels))
    numbers = {label: number_of(label) for label in unique}
    if all(number is not None for number in numbers.values()):
        return tuple(sorted(unique, key=lambda label: numbers[label] or 0.0))
    return tuple(unique)


def yes_no(labels: Iterable[str]) -> tuple[str, str] | None:
    """The two labels of a yes-or-no question, the negative one first; None if they are not known as such."""
    by_folded = {label.casefold(): label for label in labels}
    for negative, positive in _YES_NO:
        if by_folded.keys() == {negative, positive}:
            return by_folded[negative], by_folded[positive]
    return None
