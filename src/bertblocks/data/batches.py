"""What every table gives, whatever its format: batches of rows, and the rows that cannot be read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from bertblocks.data.locations import Location
from bertblocks.data.text_files import first_unreadable
from bertblocks.data.values import first_few
from bertblocks.errors import DataError

BATCH_ROWS = 4096
# Long cells fill a batch before so many rows do.
BATCH_CHARACTERS = 2_000_000
# A first column without a name: pandas writes its row numbers so.
_UNNAMED = "index"
# Of bad rows, in a message.
SHOWN_ROWS = 3

Reason = Literal[
    "missing value",
    "wrong type",
    "wrong length",
    "id out of range",
    "unusable weight",
    "unusable target",
    "unknown label",
    "unreadable characters",
    "malformed row",
    "failed in the model",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowProblem:
    """Why one row cannot be used.

    Attributes:
        row: Number of the data row, from 1; the header and blank lines are not counted.
        line: Line of the file (row of the sheet) where the row begins, from 1; None where there are no lines.
        column: Name of the column at fault; None where it is the whole row.
        reason: The kind of problem, under which problems are counted.
        message: What is wrong with it, for a person; reads on after "row 17, column 'text': ".
        hint: What many rows may have in common, a sentence that is said once for all of them.
        table: Name of the table, where a job has several.
    """

    row: int
    line: int | None
    column: str | None
    reason: Reason
    message: str
    hint: str = ""
    table: str | None = None

    def __str__(self) -> str:
        table = f"{self.table}, " if self.table is not None else ""
        line = f" (line {self.line})" if self.line is not None else ""
        column = f", column {self.column!r}" if self.column is not None else ""
        return f"{table}row {self.row}{line}{column}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TableBatch:
    """Some consecutive rows of a table.

    Attributes:
        rows: Numbers of the data rows that could be read, ascending, from 1.
        lines: Line of the file where each of them begins, or None where the format has no lines.
        columns: The values of each column, aligned with rows; None where a value is missing.
        problems: The rows of this batch that could not be read; they are not in rows.
    """

    rows: list[int]
    lines: list[int] | None
    columns: dict[str, list[Any]]
    problems: tuple[RowProblem, ...] = ()


class NoRowsError(DataError):
    """A table without a row: an error where it is alone, and nothing to speak of among others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRange:
    """Which rows of a table are read, and where batches end besides.

    Attributes:
        start: Number of the first row, from 1; those before it are passed over as fast as the format allows.
        stop: The row that is not read any more; None reads to the end.
        cut_rows: A batch ends wherever so many rows, or a multiple, are behind it: batches after such a place
            do not depend on whether what is before it was read.
    """

    start: int = 1
    stop: int | None = None
    cut_rows: int | None = None

    def num_left(self, row: int) -> int | None:
        """How many rows a batch that begins with this row may have; None where nothing limits it."""
        to_cut = None if self.cut_rows is None else self.cut_rows - (row - 1) % self.cut_rows
        to_stop = None if self.stop is None else max(0, self.stop - row)
        if to_cut is None or to_stop is None:
            return to_stop if to_cut is None else to_cut
        return min(to_cut, to_stop)


ALL_ROWS = RowRange()


class Table(Protocol):
    """A table on disk, read in batches at constant memory, as often as one likes."""

    @property
    def path(self) -> Location:
        """Where it lies."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the file's order."""

    @property
    def format(self) -> str:
        """How the file is read, to show to a person: "CSV separated by ';'"."""

    def batches(
        self,
        columns: Sequence[str] | None = None,
        batch_rows: int = BATCH_ROWS,
        rows: RowRange = ALL_ROWS,
    ) -> Iterator[TableBatch]:
        """Read from the start, or some rows.

        Args:
            columns: The columns to read; None reads all.
            batch_rows: Most rows of a batch, counting those that cannot be read; where cells are long, a
                batch has fewer.
            rows: Which rows to read.

        Raises:
            DataError: If there is no such column, or the file breaks off.
        """


class Row(NamedTuple):
    """One row on its way into a batch: values aligned with the columns asked for."""

    row: int
    line: int
    values: Sequence[Any]


def batched(
    rows: Iterable[Row | RowProblem],
    columns: Sequence[str],
    batch_rows: int,
    chosen: RowRange,
    *,
    encoding: str,
) -> Iterator[TableBatch]:
    """Turn rows into batches; rows with characters that could not be decoded become problems."""
    for chunk in _chunks(rows, batch_rows, chosen):
        readable = [item for item in chunk if isinstance(item, Row)]
        problems = [item for item in chunk if isinstance(item, RowProblem)]
        unreadable = _unreadable_rows(readable, columns, encoding)
        if unreadable:
            readable = [item for item in readable if item.row not in unreadable]
            problems = sorted([*problems, *unreadable.values()], key=lambda problem: problem.row)
        yield TableBatch(
            rows=[item.row for item in readable],
            lines=[item.line for item in readable],
            columns={name: [item.values[i] for item in readable] for i, name in enumerate(columns)},
            problems=tuple(problems),
        )


def _chunks(
    rows: Iterable[Row | RowProblem], batch_rows: int, chosen: RowRange
) -> Iterator[list[Row | RowProblem]]:
    """So many rows at a time, or as many as have so many characters in them; at least one."""
    chunk: list[Row | RowProblem] = []
    num_characters = 0
    for row in rows:
        if chosen.stop is not None and row.row >= chosen.stop:
            break
        chunk.append(row)
        if isinstance(row, Row):
            num_characters += sum([len(value) for value in row.values if isinstance(value, str | list)])
        is_full = len(chunk) == batch_rows or num_characters >= BATCH_CHARACTERS
        if is_full or (chosen.cut_rows is not None and row.row % chosen.cut_rows == 0):
            yield chunk
            chunk, num_characters = [], 0
    if chunk:
        yield chunk


def _unreadable_rows(rows: Sequence[Row], columns: Sequence[str], encoding: str) -> dict[int, RowProblem]:
    found: dict[int, RowProblem] = {}
    for position, column in enumerate(columns):
        values = [item.values[position] for item in rows]
        if first_unreadable(values, encoding=encoding) is None:
            continue
        for item in rows:
            problem = first_unreadable([item.values[position]], encoding=encoding)
            if problem and item.row not in found:
                found[item.row] = RowProblem(
                    row=item.row,
                    line=item.line,
                    column=column,
                    reason="unreadable characters",
                    message=problem.message,
                    hint=problem.hint,
                )
    return found


def bad_rows(path: Location, problems: Sequence[RowProblem], advice: str) -> str:
    """The message about a part of a table that has bad rows."""
    others = f", up to row {problems[-1].row:,}" if len(problems) > SHOWN_ROWS else ""
    shown = first_few([str(problem) for problem in problems], SHOWN_ROWS)
    return " ".join([f"{path}, {shown}{others}.", *hints(problems[:SHOWN_ROWS]), advice])


def hints(problems: Sequence[RowProblem]) -> list[str]:
    """The hints of problems, each once."""
    return list(dict.fromkeys(problem.hint for problem in problems if problem.hint))


def check_batch_rows(batch_rows: int) -> None:
    """Refuse batches without rows.

    Raises:
        DataError: If batch_rows is below 1.
    """
    if batch_rows < 1:
        raise DataError(f"batch_rows is {batch_rows}, but a batch has at least 1 row.")


def check_columns(path: Location, columns: Sequence[str], wanted: Iterable[str]) -> None:
    """Check that all wanted columns are there.

    Raises:
        DataError: Naming every column that is missing, the nearest match, and the columns there are.
    """
    if problems := missing_columns(columns, wanted):
        raise DataError(f"{path} has {problems}. {columns_in_words(columns)}")


def missing_columns(columns: Sequence[str], wanted: Iterable[str]) -> str:
    """Name every wanted column that is not there, with the nearest that is; "" if all are."""
    missing = [name for name in dict.fromkeys(wanted) if name not in columns]
    return " and ".join(f"no column {name!r}{_nearest(name, columns)}" for name in missing)


def columns_in_words(columns: Sequence[str]) -> str:
    """Say which columns a table has; of very many, the first."""
    names = ", ".join(repr(name) for name in columns[:50])
    blank = f" A first column without a name is called {_UNNAMED!r}." if columns[:1] == (_UNNAMED,) else ""
    return f"Its columns are: {names}{', ...' if len(columns) > 50 else ''}.{blank}"


def _nearest(name: str, columns: Sequence[str]) -> str:
    by_folded = {column.casefold(): column for column in columns}
    matches = difflib.get_close_matches(name.casefold(), list(by_folded), n=1)
    return f" (did you mean {by_folded[matches[0]]!r}?)" if matches else ""


def column_names(path: Location, header: Sequence[Any]) -> tuple[str, ...]:
    """Names from a header row, white space around them dropped.

    A first column without a name is called _UNNAMED.

    Raises:
        DataError: If other columns have no name, or names are repeated; all of them at once.
    """
    names = ["" if name is None else str(name).strip() for name in header]
    if names and not names[0] and _UNNAMED not in names and len(names) > 1:
        names[0] = _UNNAMED
    problems = [f"column {i} has no name" for i, name in enumerate(names, 1) if not name]
    repeated = dict.fromkeys(name for name in names if name and names.count(name) > 1)
    problems += [f"{names.count(name)} columns are called {name!r}" for name in repeated]
    if problems:
        raise DataError(
            f"{path}: {'; '.join(problems)}. The first row must name every column, each name once; "
            f"found: {', '.join(map(repr, names))}."
        )
    return tuple(names)
