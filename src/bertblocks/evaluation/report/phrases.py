"""Numbers and users' texts as parts of sentences."""

from __future__ import annotations

from collections.abc import Sequence

from bertblocks.evaluation.intervals import Interval

# Isolates keep the letters of a label written from right to left out of the order of the sentence around it.
_FIRST_STRONG_ISOLATE = "\u2068"
_POP_ISOLATE = "\u2069"
_QUOTED_CHARACTERS = 60


def shortened(text: str, limit: int) -> str:
    """A text on one line, of at most limit characters, with "…" where it was cut."""
    # Of a text of millions of characters only the beginning is looked at.
    line = " ".join(text[: 4 * limit].split())
    cut = len(line) > limit or len(text) > 4 * limit
    return line[: limit - 1] + "…" if cut else line


def quoted(text: str) -> str:
    """A user's text inside a sentence."""
    return f"“{_FIRST_STRONG_ISOLATE}{shortened(text, _QUOTED_CHARACTERS)}{_POP_ISOLATE}”"


def column_name(name: str | None) -> str:
    """The name of a user's column inside a sentence."""
    line = shortened(name or "group", _QUOTED_CHARACTERS)
    return line if line.isascii() else f"{_FIRST_STRONG_ISOLATE}{line}{_POP_ISOLATE}"


def all_of(number: int, one: str) -> str:
    """All of some things: "All 7 labels", "The only label"."""
    return f"All {number:,} {one}s" if number > 1 else f"The only {one}"


def percent(share: float) -> str:
    """A share as people read it: "12.3 %", "under 0.1 %"."""
    if 0 < share < 0.0005:
        return "under 0.1 %"
    if 0.9995 < share < 1:
        return "over 99.9 %"
    return f"{share:.1%}".replace("%", " %")


def significant(value: float) -> str:
    """A number with about three digits that say something: "0.0421", "12.3", "1,234,000"."""
    rounded = float(f"{value:.3g}")
    if 1e3 <= abs(rounded) < 1e15:
        return f"{rounded:,.0f}"
    return f"{value:.3g}"


def ratio_base(share: float, num_rows: int, interval: Interval | None = None) -> int:
    """Of how many rows a share is told: of all where they are few, otherwise of 100, 1,000 and so on.

    The smallest number is taken of which the share is neither nothing nor all, and in which the ends of the
    interval differ.

    Args:
        share: 0 to 1.
        num_rows: Rows that it was computed from.
        interval: Its interval.
    """
    base = 100
    while base < num_rows:
        is_told = share in (0, 1) or 0 < round(share * base) < base
        ends = None if interval is None else {round(interval.low * base), round(interval.high * base)}
        if is_told and (ends is None or len(ends) == 2 or interval_says_nothing(interval)):
            return base
        base *= 10
    return num_rows


def texts_of(share: float, num_rows: int, interval: Interval | None = None) -> str:
    """A share of texts in words: "87 of 100 texts", "all 12 texts", "none of 12 texts", "the only text"."""
    noun = "text" if num_rows == 1 else "texts"
    if share == 1:
        return f"all {num_rows:,} texts" if num_rows > 1 else "the only text"
    if share == 0:
        return f"none of {num_rows:,} {noun}"
    base = ratio_base(share, num_rows, interval)
    return f"{round(share * base):,} of {base:,} {noun}"


def interval_says_nothing(interval: Interval | None) -> bool:
    """Whether an interval is a point: rows that are all alike, from which no draw differs."""
    return interval is None or interval.low == interval.high


def texts_interval(share: float, num_rows: int, interval: Interval | None) -> str:
    """The interval of a share, in the unit of texts_of; nothing where it says nothing."""
    if interval is None or interval_says_nothing(interval):
        return ""
    base = num_rows if share in (0, 1) else ratio_base(share, num_rows, interval)
    low, high = round(interval.low * base), round(interval.high * base)
    return "" if low == high else f" (95 % interval {low:,} to {high:,})"


def number_interval(interval: Interval | None) -> str:
    """The interval of a number, to stand behind it; nothing where it says nothing."""
    if interval is None or interval_says_nothing(interval):
        return ""
    return f" (95 % interval {significant(interval.low)} to {significant(interval.high)})"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names in a sentence: "a", "a and b", "a, b and 4 others"."""
    if len(names) > most + 1:
        return ", ".join(names[:most]) + f" and {len(names) - most:,} others"
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
