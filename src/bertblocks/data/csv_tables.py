"""CSV and TSV: the separator found by itself, every cell a text, every row with its number and line.

Python's csv reader rather than pyarrow's: as fast once cells are Python strings (143,705 rows of four columns
in 0.2 s with both), and it knows lines, keeps rows of the wrong width, sees a quote that is never closed, and
has no block that a cell must fit in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

from bertblocks._words import counted
from bertblocks.data.batches import (
    ALL_ROWS,
    BATCH_ROWS,
    NoRowsError,
    Row,
    RowProblem,
    RowRange,
    TableBatch,
    batched,
    check_batch_rows,
    check_columns,
    column_names,
)
from bertblocks.data.locations import Location
from bertblocks.data.text_files import first_unreadable, open_text
from bertblocks.errors import DataError

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# For a table of one column: a character that texts do not hold, so that commas in them separate nothing.
_NO_SEPARATOR = "\x1f"
_SAMPLE_CHARACTERS = 256 * 1024
_SAMPLE_RECORDS = 50
# A cell beyond this is a quote that was never closed, not a text.
_LONGEST_CELL = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """A CSV or TSV file; see `Table`. An empty cell is a missing value."""

    path: Location
    columns: tuple[str, ...]
    encoding: str
    separator: str

    @property
    def format(self) -> str:
        """How the file is read, for a person."""
        return f"CSV separated by {_SEPARATORS[self.separator]}" if self.separator in _SEPARATORS else "CSV"

    def batches(
        self,
        columns: Sequence[str] | None = None,
        batch_rows: int = BATCH_ROWS,
        rows: RowRange = ALL_ROWS,
    ) -> Iterator[TableBatch]:
        """Read some rows; see `Table.batches`."""
        wanted = self.columns if columns is None else tuple(columns)
        check_columns(self.path, self.columns, wanted)
        check_batch_rows(batch_rows)
        return batched(self._rows(wanted, rows.start), wanted, batch_rows, rows, encoding=self.encoding)

    def _rows(self, wanted: Sequence[str], start: int) -> Iterator[Row | RowProblem]:
        positions = [self.columns.index(name) for name in wanted]
        for row, line, cells in _records(self.path, self.encoding, self.separator, start):
            if isinstance(cells, str):
                yield _malformed(row, line, cells)
            elif len(cells) != len(self.columns):
                yield _malformed(row, line, _wrong_width(cells, self.columns))
            else:
                yield Row(row, line, [cells[i] or None for i in positions])


def open_csv(path: Location, encoding: str) -> CsvTable:
    """Find the separator and read the header.

    Raises:
        DataError: If there is no header, no row below it, or the header cannot be used.
    """
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    with open_text(path, encoding, newline="") as file:
        sample, more = file.read(_SAMPLE_CHARACTERS), bool(file.read(1))
    if not sample.strip():
        raise NoRowsError(f"{path} is empty. The first row must name the columns.")
    separator = find_separator(sample, complete=not more)
    with open_text(path, encoding, newline="") as file:
        header = _header(csv.reader(file, delimiter=separator), path)
    if problem := first_unreadable(header, encoding=encoding):
        raise DataError(f"{path}, first row: {problem}")
    columns = column_names(path, header)
    if next(_records(path, encoding, separator), None) is None:
        raise NoRowsError(f"{path} has no rows below its header ({', '.join(map(repr, columns))}).")
    return CsvTable(path=path, columns=columns, encoding=encoding, separator=separator)


def find_separator(sample: str, *, complete: bool = True) -> str:
    """Find what separates the cells: that with which most rows have as many cells as the header.

    Args:
        sample: The beginning of the file.
        complete: Whether that is the whole file; otherwise the last row may be cut off, and is not counted.

    Returns:
        A comma, a semicolon or a tab; for a table of a single column a character that is in none of its
        cells.
    """
    best, best_score = _NO_SEPARATOR, (-1.0, 0)
    for separator in _SEPARATORS:
        widths = _widths(sample, separator)
        if not complete and len(widths) <= _SAMPLE_RECORDS:
            widths = widths[:-1] or widths
        header, rows = widths[0] if widths else 0, widths[1:]
        score = (rows.count(header) / len(rows) if rows else 1.0, header)
        if header > 1 and score > best_score:
            best, best_score = separator, score
    return best


def _widths(sample: str, separator: str) -> list[int]:
    records = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
    widths: list[int] = []
    # An error belongs to a row, which will name it when it is read.
    with suppress(csv.Error):
        widths.extend(islice((len(cells) for cells in records if cells), _SAMPLE_RECORDS + 1))
    return widths


def _header(reader: Iterator[list[str]], path: Location) -> list[str]:
    try:
        return next(cells for cells in reader if cells)
    except StopIteration:
        raise NoRowsError(f"{path} is empty. The first row must name the columns.") from None
    except csv.Error as error:
        raise DataError(
            f"{path}: the first row, which must name the columns, is malformed: {error}."
        ) from error


def _records(
    path: Location, encoding: str, separator: str, start: int = 1
) -> Iterator[tuple[int, int, list[str] | str]]:
    """Give number, first line and cells of every data row; instead of cells what is wrong with the row.

    Rows before the start are parsed too, or nobody would know where rows end.
    """
    with open_text(path, encoding, newline="") as file:
        # Strict: otherwise a quote that is never closed takes the rest of the file for one cell in silence.
        reader: Any = csv.reader(file, delimiter=separator, strict=True)
        _header(reader, path)
        row = 0
        while True:
            line = reader.line_num + 1
            cells: list[str] | str
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells = _quoting_problem(path, line, reader.line_num, str(error))
            if cells:
                row += 1
                if row >= start:
                    yield row, line, cells


def _quoting_problem(path: Location, first: int, last: int, error: str) -> str:
    if "field larger" in error:
        _raise_endless_cell(path, first)
    if "unexpected end" in error:
        return f"the quote (\") opened here is never closed: the cell runs to the file's end, line {last}"
    if "expected after" in error:
        return (
            f'a quote (") inside a quoted cell is not doubled (""), at line {last}; '
            "or a quoted cell is not followed by the separator"
        )
    return error


def _raise_endless_cell(path: Location, line: int) -> NoReturn:
    raise DataError(
        f"{path}: in the row that begins at line {line}, a cell has more than {_LONGEST_CELL:,} characters. "
        'Most likely a quote (") is opened there and never closed: close it, or remove it.'
    )


def _wrong_width(cells: Sequence[str], columns: Sequence[str]) -> str:
    start = " | ".join(cell if len(cell) <= 30 else cell[:30] + "..." for cell in cells[: len(columns) + 1])
    return (
        f"{counted(len(cells), 'cell')}, but the header names {counted(len(columns), 'column')}; "
        f"found: {start}. "
        "A text that holds the separator or a line break must be in double quotes"
    )


def _malformed(row: int, line: int, message: str) -> RowProblem:
    return RowProblem(row=row, line=line, column=None, reason="malformed row", message=message)
