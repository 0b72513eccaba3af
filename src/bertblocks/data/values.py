"""What counts as a missing value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MISSING_TYPES = ("NAType", "NaTType")


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, a float NaN, pandas' NA and NaT, an empty or blank text."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, float):
        return value != value
    # pandas is no dependency, so its markers are known by name.
    return type(value).__name__ in _MISSING_TYPES


def first_few(problems: Sequence[str], limit: int = 5) -> str:
    """The first problems of many for a message, and how many more there are."""
    more = len(problems) - limit
    return "; ".join([*problems[:limit], *([f"and {more:,} more"] if more > 0 else [])])


def shown(value: Any) -> str:
    """A value with its type for a message, cut to a length that fits."""
    if value is None:
        return "nothing"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:60] + '...'} ({type(value).__name__})"
