"""Parquet written in row groups of useful size.

pyarrow is imported when a file is written: who writes CSV should not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bertblocks.errors import DataError

_ROW_GROUP_ROWS = 65_536
# Of long texts or vectors so many rows would fill the memory.
_ROW_GROUP_BYTES = 32 << 20


class ParquetFile:
    """Takes columns of Python values; the first batch fixes the types, where no schema does.

    Args:
        path: The file.
        columns: Names of the columns.
        schema: A pyarrow.Schema, or None.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], schema: Any | None) -> None:
        self._path, self._columns, self._schema = path, columns, schema
        self._groups: RowGroups | None = None

    def write(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write some rows.

        Raises:
            DataError: If a column cannot hold what is given.
        """
        if self._schema is None:
            self._schema = _schema_of(columns)
        self._opened().add(_record_batch(columns, self._schema))

    def close(self) -> None:
        """Finish the file."""
        self._opened().close()

    def _opened(self) -> RowGroups:
        if self._schema is None:
            self._schema = _schema_of({name: [] for name in self._columns})
        if self._groups is None:
            self._groups = RowGroups(self._path, self._schema)
        return self._groups


class RowGroups:
    """A Parquet file that gathers record batches into row groups of useful size.

    Args:
        path: The file.
        schema: Of all batches.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        self._path, self._schema = path, schema
        self._writer: Any = None
        self._waiting: list[Any] = []

    def add(self, batch: Any) -> None:
        """Write a record batch, now or with the next ones."""
        self._waiting.append(batch)
        num_rows = sum(batch.num_rows for batch in self._waiting)
        num_bytes = sum(batch.nbytes for batch in self._waiting)
        if num_rows >= _ROW_GROUP_ROWS or num_bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits, and finish the file."""
        try:
            self._flush()
        finally:
            if self._writer is not None:
                self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, self._schema)
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, schema=self._schema))
            self._waiting = []


def _schema_of(columns: Mapping[str, Sequence[Any]]) -> Any:
    import pyarrow as pa

    fields = []
    for name, values in columns.items():
        found = _arrow(name, values, None).type
        fields.append(pa.field(name, pa.string() if pa.types.is_null(found) else found))
    return pa.schema(fields)


def _record_batch(columns: Mapping[str, Sequence[Any]], schema: Any) -> Any:
    import pyarrow as pa

    arrays = [_arrow(name, columns[name], schema.field(name).type) for name in schema.names]
    return pa.record_batch(arrays, schema=schema)


def _arrow(name: str, values: Sequence[Any], kind: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, type=kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UnicodeEncodeError):
            raise
        expected = f", which holds {kind} since its first rows" if kind is not None else ""
        raise DataError(
            f"Column {name!r}{expected}, cannot hold what was given: {error}. Give one type to a column, "
            "or say it with schema=."
        ) from error
