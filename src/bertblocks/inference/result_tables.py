"""A table with results beside its columns, written in any format that tables can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from bertblocks.data import Table, TableWriter, open_writer
from bertblocks.data.batches import columns_in_words, missing_columns
from bertblocks.data.tables import PARQUET_ENDINGS
from bertblocks.errors import DataError

_BATCH_ROWS = 4096

ResultKind = Literal["text", "texts", "number", "count", "flag", "vector"]


def check_table(table: Table, needed: Sequence[str], results: Sequence[str] = ()) -> None:
    """Refuse a table that lacks a column, or has one that is called like a result.

    Raises:
        DataError: For either; all such columns at once.
    """
    problems = []
    if missing := missing_columns(table.columns, needed):
        problems.append(f"has {missing}")
    if clashing := [name for name in results if name in table.columns]:
        problems.append(
            f"has {', '.join(map(repr, clashing))}, which the result calls its own columns: rename them"
        )
    if problems:
        raise DataError(f"{table.path} {' and '.join(problems)}. {columns_in_words(table.columns)}")


def open_result(
    output: Path, table: Table, results: Mapping[str, ResultKind]
) -> AbstractContextManager[TableWriter]:
    """Open a table for all columns of another and, after them, for results.

    Parquet fixes the type of a column before its first row, so the whole table is read once for it: its first
    rows may leave a column empty, and a conflict should show before hours of work, not after.

    Args:
        output: As open_writer's.
        table: Where the other columns come from.
        results: Columns to add, each with the kind of its values.

    Raises:
        DataError: If the output's ending is unknown, or a column cannot be one of Parquet's.
    """
    columns = [*table.columns, *results]
    if output.suffix.lower() not in PARQUET_ENDINGS:
        return open_writer(output, columns)
    return open_writer(output, columns, schema=_schema(table, results))


def _schema(table: Table, results: Mapping[str, ResultKind]) -> Any:
    import pyarrow as pa

    kinds: dict[ResultKind, Any] = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "number": pa.float64(),
        "count": pa.int64(),
        "flag": pa.bool_(),
        "vector": pa.list_(pa.float32()),
    }
    types = dict.fromkeys(table.columns, pa.null())
    for batch in table.batches(None, _BATCH_ROWS):
        for name, values in batch.columns.items():
            types[name] = _wider(table.path, name, types[name], values)
    found = [(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in types.items()]
    return pa.schema([*found, *((name, kinds[kind]) for name, kind in results.items())])


def _wider(path: Path, name: str, known: Any, values: Sequence[Any]) -> Any:
    """A type that holds a column's earlier values and these."""
    import pyarrow as pa

    try:
        schemas = [pa.schema([(name, kind)]) for kind in (known, pa.array(values).type)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(name).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{path}, column {name!r}: {error}. A column of a Parquet file has one type; write the result as "
            ".jsonl or .csv, or mend the column."
        ) from error
