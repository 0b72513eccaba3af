"""JSON Lines: one object a line, read line by line so that a malformed line is one bad row and no more.

pyarrow's JSON reader fixes a type for every column from its first block, and fails on the first value that
differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

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
)
from bertblocks.data.locations import Location
from bertblocks.data.text_files import Unreadable, open_text, unreadable
from bertblocks.errors import DataError

# Objects may leave keys out, so columns are what the first rows name together.
_ROWS_THAT_NAME_COLUMNS = 1000
_SHOWN_KEYS = 5


@dataclass(frozen=True, kw_only=True)
class JsonLinesTable:
    """A JSON Lines file; see `Table`.

    A key that is absent or null is a missing value. Where all columns are read, a row with a key that is none
    of them cannot be: its value would be lost in silence.
    """

    path: Location
    columns: tuple[str, ...]
    encoding: str

    @property
    def format(self) -> str:
        """How the file is read, for a person."""
        return "JSON Lines"

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
        found = self._rows(wanted, rows.start, all_keys=columns is None)
        return batched(found, wanted, batch_rows, rows, encoding=self.encoding)

    def _rows(self, wanted: Sequence[str], start: int, *, all_keys: bool) -> Iterator[Row | RowProblem]:
        known = frozenset(self.columns)
        for row, line, item in _objects(self.path, self.encoding, start):
            if isinstance(item, dict) and all_keys and not item.keys() <= known:
                item = _late_keys([key for key in item if key not in known])
            if isinstance(item, Unreadable):
                yield RowProblem(
                    row=row,
                    line=line,
                    column=None,
                    reason="unreadable characters",
                    message=item.message,
                    hint=item.hint,
                )
            elif isinstance(item, str):
                yield RowProblem(row=row, line=line, column=None, reason="malformed row", message=item)
            else:
                yield Row(row, line, [item.get(name) for name in wanted])


def open_json_lines(path: Location, encoding: str) -> JsonLinesTable:
    """Read the first rows for the columns' names.

    Raises:
        DataError: If none of them is an object.
    """
    first = list(islice(_objects(path, encoding), _ROWS_THAT_NAME_COLUMNS))
    if not first:
        raise NoRowsError(f"{path} is empty. Every line must be an object, such as {_EXAMPLE}.")
    columns = tuple(dict.fromkeys(key for *_, item in first if isinstance(item, dict) for key in item))
    if not columns:
        row, line, problem = first[0]
        raise DataError(
            f"{path}, row {row} (line {line}): {problem or 'the object is empty'}.{_advice(path, encoding)}"
        )
    return JsonLinesTable(path=path, columns=columns, encoding=encoding)


_EXAMPLE = '{"text": "...", "label": "..."}'


def _objects(
    path: Location, encoding: str, start: int = 1
) -> Iterator[tuple[int, int, dict[str, Any] | Unreadable | str]]:
    """Give number, line and object of every row; in place of the object what is wrong with the line."""
    row = 0
    with open_text(path, encoding, newline="\n") as file:
        for line, content in enumerate(file, 1):
            if content.strip():
                row += 1
                if row >= start:
                    yield row, line, _parsed(content, encoding)


def _parsed(content: str, encoding: str) -> dict[str, Any] | Unreadable | str:
    try:
        item = json.loads(content)
    except (ValueError, RecursionError) as error:
        return unreadable(content, encoding=encoding) or f"not JSON: {error}; found: {_cut(content.strip())}"
    if isinstance(item, dict):
        return item
    return f"expected an object such as {_EXAMPLE}, found {_cut(content.strip())}"


def _late_keys(keys: Sequence[str]) -> str:
    """What is wrong with an object that has keys which are no columns."""
    shown = ", ".join(_cut(repr(key)) for key in keys[:_SHOWN_KEYS])
    more = ", ..." if len(keys) > _SHOWN_KEYS else ""
    return (
        f"the key {shown}{more} is in none of the first {_ROWS_THAT_NAME_COLUMNS:,} rows, which name the "
        "columns; put a row that has it among these (null will do), or write the table as Parquet or CSV"
    )


def _advice(path: Location, encoding: str) -> str:
    with open_text(path, encoding, newline="\n") as file:
        if file.read(64).lstrip()[:1] in ("[", "{"):
            return (
                " Every row must be one object on one line of its own "
                "(pandas: to_json(..., orient='records', lines=True))."
            )
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
