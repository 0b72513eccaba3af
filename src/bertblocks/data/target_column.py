"""A target column with its name and row numbers, so that every error about it names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from bertblocks.data.labels import number_of
from bertblocks.data.values import first_few, is_missing, shown
from bertblocks.errors import DataError

# Far beyond what anybody counts, and near the end of float32; its square is still a number in float64.
LARGEST_TARGET = 1e37
_Read = TypeVar("_Read")


class TargetColumn:
    """The raw values of a target column.

    Attributes:
        name: Name of the column.
        values: What it holds.
        rows: Row number of each value.

    Raises:
        DataError: If there are no values, values are missing, or rows and values differ in number.
    """

    def __init__(self, name: str, values: Iterable[Any], rows: Sequence[int] | None) -> None:
        self.name = name
        self.values = list(values)
        self.rows = range(1, len(self.values) + 1) if rows is None else rows
        if len(self.rows) != len(self.values):
            raise DataError(f"{len(self.values)} targets, but {len(self.rows)} row numbers.")
        if not self.values:
            raise DataError(f"The column {self.name!r} has no values.")
        self.fail_on(("the target is missing" if is_missing(value) else None) for value in self.values)

    def fail_on(self, problems: Iterable[str | None], advice: str = "") -> None:
        """Raise if there are problems.

        Args:
            problems: One for each value, None where all is well.
            advice: How to mend them.

        Raises:
            DataError: Naming the first few rows.
        """
        rows = zip(self.rows, problems, strict=True)
        if found := [f"row {row}: {problem}" for row, problem in rows if problem]:
            raise DataError(f"Column {self.name!r}, {first_few(found)}. {advice}".rstrip())

    def read(self, read: Callable[[Any], _Read], advice: str = "") -> list[_Read]:
        """Read every value.

        Args:
            read: Reads one.
            advice: How to mend what cannot be read.

        Raises:
            DataError: If `read` raised it for some values; they are named together.
        """
        results: list[_Read] = []
        problems: list[str | None] = []
        for value in self.values:
            problem = None
            try:
                results.append(read(value))
            except DataError as error:
                problem = str(error)
            problems.append(problem)
        self.fail_on(problems, advice)
        return results


def finite_number(value: Any) -> float:
    """Read a number.

    Raises:
        DataError: If it is none, or infinite.
    """
    number = number_of(value)
    if number is None:
        comma = isinstance(value, str) and number_of(value.replace(",", ".", 1)) is not None
        raise DataError(
            f"expected a number, found {shown(value)}" + (" (write 3.5, not 3,5)" if comma else "")
        )
    if not math.isfinite(number):
        raise DataError(f"expected a finite number, found {shown(value)}")
    return number


def regression_number(value: Any) -> float:
    """Read a number that can be learnt and predicted.

    Raises:
        DataError: If it is none, or not finite, or too large to be squared and summed up.
    """
    number = finite_number(value)
    if abs(number) > LARGEST_TARGET:
        raise DataError(
            f"expected a number from {-LARGEST_TARGET:g} to {LARGEST_TARGET:g}, found {shown(value)} (write "
            "it in another unit)"
        )
    return number


def some(labels: Sequence[str]) -> str:
    """The first labels for a message, each cut to a length that fits."""
    first = ", ".join(repr(label if len(label) <= 40 else label[:40] + "...") for label in labels[:10])
    return first + (", ..." if len(labels) > 10 else "")
