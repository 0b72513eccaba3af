"""Parquet through pyarrow, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertblocks.data.batches import (
    ALL_ROWS,
    BATCH_CHARACTERS,
    BATCH_ROWS,
    NoRowsError,
    RowProblem,
    RowRange,
    TableBatch,
    check_batch_rows,
    check_columns,
    column_names,
)
from bertblocks.data.locations import Location, arrow_source
from bertblocks.errors import DataError

# Without a buffer pyarrow holds a whole row group, which may be the whole file.
_BUFFER_BYTES = 1 << 20
# Decoded at once: how long their cells are is only known afterwards.
_PART_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class ParquetTable:
    """A Parquet file; see `Table`. Rows have no lines; dates and times become ISO 8601 texts."""

    path: Location
    columns: tuple[str, ...]

    @property
    def format(self) -> str:
        """How the file is read, for a person."""
        return "Parquet"

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
        return self._batches(wanted, batch_rows, rows)

    def types(self, columns: Sequence[str]) -> dict[str, Any]:
        """The Arrow types of columns' values as they are read, where the file's schema tells them."""
        with _opened(self.path) as file:
            schema = file.schema_arrow
        found = {name: _value_type(schema.field(name).type) for name in columns if name in schema.names}
        return {name: kind for name, kind in found.items() if kind is not None}

    def _batches(self, wanted: Sequence[str], batch_rows: int, rows: RowRange) -> Iterator[TableBatch]:
        with _opened(self.path) as file:
            parts = _parts(file, wanted, min(batch_rows, _PART_ROWS), rows)
            for first, batch in _joined(parts, batch_rows, rows):
                yield _table_batch(batch, wanted, first)


def _parts(file: Any, wanted: Sequence[str], part_rows: int, rows: RowRange) -> Iterator[tuple[int, Any]]:
    """The chosen rows, a few at a time, each part with the number of its first row.

    Row groups before the start are not read. Parts are counted from the beginning of a row group, so that
    they are the same wherever the reading began.
    """
    first = 1
    for group in range(file.num_row_groups):
        end = first + file.metadata.row_group(group).num_rows
        if rows.stop is not None and first >= rows.stop:
            return
        if end > rows.start:
            row = first
            # Columns by position would be safer than by path, but pyarrow selects nested fields by path too.
            for part in file.iter_batches(batch_size=part_rows, row_groups=[group], columns=list(wanted)):
                yield from _cut(part, row, rows)
                row += part.num_rows
        first = end


def _cut(part: Any, first: int, rows: RowRange) -> Iterator[tuple[int, Any]]:
    """A part without the rows that are not chosen, in two or more where batches must end."""
    row, end = max(first, rows.start), first + part.num_rows
    while row < end:
        limit = rows.num_left(row)
        num_rows = end - row if limit is None else min(end - row, limit)
        if not num_rows:
            return
        yield row, part.slice(row - first, num_rows)
        row += num_rows


def _joined(parts: Iterator[tuple[int, Any]], batch_rows: int, rows: RowRange) -> Iterator[tuple[int, Any]]:
    """Parts put together to batches of at most so many rows; where cells are long, of fewer."""
    waiting: list[Any] = []
    first = num_rows = num_bytes = 0
    for row, part in parts:
        is_cut = rows.cut_rows is not None and (row - 1) % rows.cut_rows == 0
        is_full = num_rows + part.num_rows > batch_rows or num_bytes > BATCH_CHARACTERS
        if waiting and (is_cut or is_full):
            yield first, _one(waiting)
            waiting, num_rows, num_bytes = [], 0, 0
        first = first if waiting else row
        waiting.append(part)
        num_rows += part.num_rows
        num_bytes += part.nbytes
    if waiting:
        yield first, _one(waiting)


def _one(parts: list[Any]) -> Any:
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0] if len(parts) > 1 else parts[0]


def open_parquet(path: Location) -> ParquetTable:
    """Read the names of the columns.

    Raises:
        DataError: If the file is not Parquet, has no rows, or names a column twice.
    """
    with _opened(path) as file:
        names, num_rows = file.schema_arrow.names, file.metadata.num_rows
    columns = column_names(path, names)
    if not num_rows:
        raise NoRowsError(f"{path} has no rows, only the columns {', '.join(map(repr, columns))}.")
    return ParquetTable(path=path, columns=columns)


@contextmanager
def _opened(path: Location) -> Iterator[Any]:
    try:
        with arrow_source(path) as source, pq.ParquetFile(source, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {str(error).rstrip('.')}.") from error


def _table_batch(batch: Any, wanted: Sequence[str], first: int) -> TableBatch:
    columns = {name: _values(batch.column(name)) for name in wanted}
    problems: dict[int, RowProblem] = {}
    for name, values in columns.items():
        for i, value in enumerate(values):
            if isinstance(value, UnicodeDecodeError):
                problems.setdefault(i, _undecodable(first + i, name, value))
    kept = [i for i in range(batch.num_rows) if i not in problems]
    return TableBatch(
        rows=[first + i for i in kept],
        lines=None,
        columns={name: [values[i] for i in kept] for name, values in columns.items()},
        problems=tuple(problems[i] for i in sorted(problems)),
    )


def _undecodable(row: int, column: str, error: UnicodeDecodeError) -> RowProblem:
    message = f"byte 0x{error.object[error.start]:02x} is not UTF-8, as all text in Parquet must be"
    return RowProblem(row=row, line=None, column=column, reason="unreadable characters", message=message)


def _values(column: Any) -> list[Any]:
    """Python values; a UnicodeDecodeError stands for a text that is not UTF-8."""
    column = _simplified(column)
    try:
        return [_decoded(value) for value in column.to_pylist()]
    except UnicodeDecodeError:
        return [_python_value(scalar) for scalar in column]


def _simplified(column: Any) -> Any:
    if pa.types.is_dictionary(column.type):
        return _simplified(column.dictionary_decode())
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        return pc.cast(column, pa.string())
    if pa.types.is_decimal(column.type):
        return pc.cast(column, pa.float64())
    return column


def _value_type(kind: Any, *, is_item: bool = False) -> Any | None:
    """The type of what _values makes of a column; None where only the values tell.

    Args:
        kind: Of the column.
        is_item: Whether it is the type of a list's items, which are left as they are.
    """
    types = pa.types
    if types.is_signed_integer(kind) or (types.is_unsigned_integer(kind) and kind.bit_width < 64):
        return pa.int64()
    if types.is_floating(kind):
        return pa.float64()
    if types.is_boolean(kind) or types.is_string(kind) or types.is_null(kind):
        return kind
    if is_item:
        return None
    if types.is_dictionary(kind):
        return _value_type(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        item = _value_type(kind.value_type, is_item=True)
        return None if item is None else pa.list_(item)
    if types.is_decimal(kind):
        return pa.float64()
    texts = (types.is_large_string, types.is_binary, types.is_large_binary)
    is_time = types.is_temporal(kind) and not types.is_duration(kind)
    return pa.string() if is_time or any(test(kind) for test in texts) else None


def _decoded(value: Any) -> Any:
    # Some writers (old Spark, Impala) store text without saying that it is text.
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _python_value(scalar: Any) -> Any:
    try:
        return _decoded(scalar.as_py())
    except UnicodeDecodeError as error:
        return error
