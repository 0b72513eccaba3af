"""Tables of a page: each with a caption and headings; sorted and searched where scripts run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.report.markup import Html, element, joined, user_name
from bertblocks.evaluation.tables import Cell, format_cell

# Longer tables scroll in their own box.
_TALL_ROWS = 25
# From here on it is quicker to search than to read.
_SEARCHED_ROWS = 12


@dataclass(frozen=True, kw_only=True)
class Column:
    """What stands in one place of all rows.

    Attributes:
        heading: Its name.
        is_number: Whether it holds numbers, which are aligned at the right.
    """

    heading: str
    is_number: bool = False


def texts(*headings: str) -> tuple[Column, ...]:
    """Columns of texts."""
    return tuple(Column(heading=heading) for heading in headings)


def numbers(*headings: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(heading=heading, is_number=True) for heading in headings)


def interval_cell(interval: Interval | None) -> str:
    """An interval in a cell."""
    return "-" if interval is None else f"{format_cell(interval.low)} to {format_cell(interval.high)}"


def data_table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    sortable: bool = False,
) -> Html:
    """A table whose first column names the rows.

    Args:
        caption: What it is about; plain text.
        columns: One a cell.
        rows: Cells: Html as it is, other texts as names that users chose, numbers formatted; "-" for None.
        sortable: Whether a script may sort it, and search it if it is long.
    """
    head = element("tr", [_heading(column) for column in columns])
    table = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", [_row(columns, row) for row in rows]),
        class_="sortable" if sortable else None,
        data_search="rows" if sortable and len(rows) >= _SEARCHED_ROWS else None,
    )
    tall = " tall" if len(rows) > _TALL_ROWS else ""
    return element("div", table, class_="scroll" + tall, role="group", aria_label=caption, tabindex=0)


def _heading(column: Column) -> Html:
    return element("th", column.heading, scope="col", class_="number" if column.is_number else None)


def _row(columns: Sequence[Column], row: Sequence[Cell]) -> Html:
    first, *others = (_cell(value) for value in row)
    cells = [
        element("td", value, class_="number" if column.is_number else None)
        for column, value in zip(columns[1:], others, strict=True)
    ]
    return element("tr", element("th", first, scope="row"), cells)


def _cell(value: Cell) -> Html:
    if isinstance(value, Html):
        return value
    return user_name(value) if isinstance(value, str) else joined(format_cell(value))
