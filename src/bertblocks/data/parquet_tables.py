"""Parquet through pyarrow, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertblocks.data.batches import (
    BATCH_CHARACTERS,
    BATCH_ROWS,
    RowProblem,
    TableBatch,
    check_batch_rows,
    check_columns,
    column_names,
)
from bertblocks.errors import DataError

# Without a buffer pyarrow holds a whole row group, which may be the whole file.
_BUFFER_BYTES = 1 << 20
# Decoded at once: how long their cells are is only known afterwards.
_PART_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class ParquetTable:
    """A Parquet file; see `Table`. Rows have no lines; dates and times become ISO 8601 texts."""

    path: Path
    columns: tuple[str, ...]

    @property
    def format(self) -> str:
        """How the file is read, for a person."""
        return "Parquet"

    def batches(
        self, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
    ) -> Iterator[TableBatch]:
        """Read from the start; see `Table.batches`."""
        wanted = self.columns if columns is None else tuple(columns)
        check_columns(self.path, self.columns, wanted)
        check_batch_rows(batch_rows)
        return self._batches(wanted, batch_rows)

    def _batches(self, wanted: Sequence[str], batch_rows: int) -> Iterator[TableBatch]:
        first = 1
        with _opened(self.path) as file:
            # Columns by position would be safer than by path, but pyarrow selects nested fields by path too.
            parts = file.iter_batches(batch_size=min(batch_rows, _PART_ROWS), columns=list(wanted))
            for batch in _joined(parts, batch_rows):
                yield _table_batch(batch, wanted, first)
                first += batch.num_rows


def _joined(parts: Iterator[Any], batch_rows: int) -> Iterator[Any]:
    """Parts put together to batches of at most so many rows; where cells are long, of fewer."""
    waiting: list[Any] = []
    num_rows = num_bytes = 0
    for part in parts:
        if waiting and (num_rows + part.num_rows > batch_rows or num_bytes > BATCH_CHARACTERS):
            yield _one(waiting)
            waiting, num_rows, num_bytes = [], 0, 0
        waiting.append(part)
        num_rows += part.num_rows
        num_bytes += part.nbytes
    if waiting:
        yield _one(waiting)


def _one(parts: list[Any]) -> Any:
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0] if len(parts) > 1 else parts[0]


def open_parquet(path: Path) -> ParquetTable:
    """Read the names of the columns.

    Raises:
        DataError: If the file is not Parquet, has no rows, or names a column twice.
    """
    with _opened(path) as file:
        names, num_rows = file.schema_arrow.names, file.metadata.num_rows
    columns = column_names(path, names)
    if not num_rows:
        raise DataError(f"{path} has no rows, only the columns {', '.join(map(repr, columns))}.")
    return ParquetTable(path=path, columns=columns)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES) as file:
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


def _decoded(value: Any) -> Any:
    # Some writers (old Spark, Impala) store text without saying that it is text.
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _python_value(scalar: Any) -> Any:
    try:
        return _decoded(scalar.as_py())
    except UnicodeDecodeError as error:
        return error
