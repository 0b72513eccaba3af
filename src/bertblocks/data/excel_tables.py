"""Excel sheets (.xlsx) through openpyxl, row by row."""

from __future__ import annotations

import datetime
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

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
from bertblocks.data.locations import Location, arrow_source
from bertblocks.errors import DataError

_READ_AT_ONCE = 256
# What openpyxl raises for a file that is none, or is broken: it reads sheets lazily, so that some come late.
_DAMAGED = (
    *(InvalidFileException, zipfile.BadZipFile, zlib.error, OSError, EOFError),
    *(SyntaxError, ValueError, TypeError, LookupError, AttributeError),
)


@dataclass(frozen=True, kw_only=True)
class ExcelTable:
    """A sheet of an Excel file; see `Table`.

    Blank rows are passed over. A formula counts as the value that Excel stored with it; cells in error
    (#N/A) are missing values. Dates and times become ISO 8601 texts.
    """

    path: Location
    columns: tuple[str, ...]
    sheet: str

    @property
    def format(self) -> str:
        """How the file is read, for a person."""
        return f"Excel sheet {self.sheet!r}"

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
        return batched(self._rows(wanted, rows.start), wanted, batch_rows, rows, encoding="utf-8")

    def _rows(self, wanted: Sequence[str], start: int) -> Iterator[Row | RowProblem]:
        positions = [self.columns.index(name) for name in wanted]
        with _opened(self.path) as workbook:
            rows = _filled_rows(workbook[self.sheet], self.path)
            next(rows)
            for row, (line, values) in enumerate(rows, 1):
                if row < start:
                    continue
                if len(values) > len(self.columns):
                    message = (
                        f"a value in column {len(values)}, but the header names "
                        f"{counted(len(self.columns), 'column')}"
                    )
                    yield RowProblem(row=row, line=line, column=None, reason="malformed row", message=message)
                else:
                    padded = values + [None] * (len(self.columns) - len(values))
                    yield Row(row, line, [padded[i] for i in positions])


def open_excel(path: Location, sheet: str | None) -> ExcelTable:
    """Find the sheet and read its header.

    Args:
        path: The file.
        sheet: Name of the sheet; None takes the first.

    Raises:
        DataError: If the file or the sheet cannot be read, or the sheet has no rows below its header.
    """
    with _opened(path) as workbook:
        names = [worksheet.title for worksheet in workbook.worksheets]
        name = names[0] if sheet is None and names else str(sheet)
        if name not in names:
            raise DataError(f"{path} has no sheet {name!r}. Its sheets are: {', '.join(map(repr, names))}.")
        first = list(islice(_filled_rows(workbook[name], path), 2))
    if not first:
        raise NoRowsError(f"{path}: the sheet {name!r} is empty. Its first row must name the columns.")
    columns = column_names(path, first[0][1])
    if len(first) < 2:
        raise NoRowsError(f"{path}: the sheet {name!r} has no rows below its header ({', '.join(columns)}).")
    return ExcelTable(path=path, columns=columns, sheet=name)


@contextmanager
def _opened(path: Location) -> Iterator[Any]:
    with arrow_source(path) as source:
        with _reading(path):
            workbook = openpyxl.load_workbook(source, read_only=True, data_only=True)
        try:
            yield workbook
        finally:
            workbook.close()


@contextmanager
def _reading(path: Location) -> Iterator[None]:
    """Let openpyxl read, and say in one way what it finds damaged."""
    try:
        # It warns of styles and validations that it does not keep, which nobody asks it to.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except _DAMAGED as error:
        raise DataError(
            f"{path} cannot be read as an Excel file (.xlsx): {str(error).rstrip('.')}. Save it again in "
            "Excel; one with a password must be saved without it."
        ) from error


def _filled_rows(worksheet: Any, path: Location) -> Iterator[tuple[int, list[Any]]]:
    """Give sheet row and values of every row that is not blank, without the empty cells at its end."""
    # Some programs store a wrong extent, which would hide cells.
    worksheet.reset_dimensions()
    rows = worksheet.iter_rows()
    line = 0
    while True:
        with _reading(path):
            chunk = [[_value(cell) for cell in row] for row in islice(rows, _READ_AT_ONCE)]
        if not chunk:
            return
        for values in chunk:
            line += 1
            while values and values[-1] is None:
                values.pop()
            if values:
                yield line, values


def _value(cell: Any) -> Any:
    value = cell.value
    if cell.data_type == "e" or value == "":
        return None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value) if isinstance(value, datetime.timedelta) else value
