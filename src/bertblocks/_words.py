"""Numbers told to people."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number and what it counts: "1 row", "2,000 rows", "1 class has", "3 classes have".

    Args:
        number: How many.
        one: What follows a 1.
        several: What follows any other number; by default the same with an "s".
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"
