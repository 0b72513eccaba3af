"""A table with results beside its columns: which columns it has, and of which type where the format asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bertblocks.data import Table
from bertblocks.data.batches import columns_in_words, missing_columns
from bertblocks.data.csv_tables import CsvTable
from bertblocks.data.locations import Location
from bertblocks.errors import DataError

_BATCH_ROWS = 4096

ResultKind = Literal["text", "texts", "number", "count", "flag", "vector"]


def check_table(
    table: Table, needed: Sequence[str], results: Sequence[str] = (), carried: Sequence[str] | None = None
) -> None:
    """Refuse a table that lacks a column, or has one that is called like a result.

    Args:
        table: Of the job.
        needed: Columns that are read.
        results: Columns that are added.
        carried: The table's columns that stand beside them; None is all.

    Raises:
        DataError: For either; all such columns at once.
    """
    problems = []
    if missing := missing_columns(table.columns, needed):
        problems.append(f"has {missing}")
    beside = table.columns if carried is None else carried
    if clashing := [name for name in results if name in beside and name in table.columns]:
        problems.append(
            f"has {', '.join(map(repr, clashing))}, which the result calls its own columns: rename them, or "
            "leave them out with --columns"
        )
    if problems:
        raise DataError(f"{table.path} {' and '.join(problems)}. {columns_in_words(table.columns)}")


def result_schema(tables: Sequence[Table], carried: Sequence[str], results: Mapping[str, ResultKind]) -> Any:
    """The pyarrow.Schema of the tables' columns and, after them, of results.

    Parquet fixes the type of a column before its first row. Where the tables' own formats do not tell the
    types, all rows are read once: the first ones may leave a column empty, and a conflict should show before
    hours of work, not after.

    Raises:
        DataError: If a column cannot be one of Parquet's.
    """
    import pyarrow as pa

    kinds: dict[ResultKind, Any] = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "number": pa.float64(),
        "count": pa.int64(),
        "flag": pa.bool_(),
        "vector": pa.list_(pa.float32()),
    }
    types = dict.fromkeys(carried, pa.null())
    for table in tables:
        known = _stated_types(table, carried)
        unknown = [name for name in carried if name not in known]
        for name, kind in known.items():
            types[name] = _unified(table.path, name, types[name], kind)
        # All of them are asked for as all: rows with a column more are then none of the result's.
        asked = None if len(unknown) == len(table.columns) else unknown
        for batch in table.batches(asked, _BATCH_ROWS) if unknown else ():
            for name in unknown:
                types[name] = _wider(table.path, name, types[name], batch.columns[name])
    found = [(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in types.items()]
    return pa.schema([*found, *((name, kinds[kind]) for name, kind in results.items())])


def _stated_types(table: Table, columns: Sequence[str]) -> dict[str, Any]:
    """The types of the columns whose format tells them: texts in CSV, and what Parquet states."""
    import pyarrow as pa

    if isinstance(table, CsvTable):
        return dict.fromkeys(columns, pa.string())
    from bertblocks.data.parquet_tables import ParquetTable

    return table.types(columns) if isinstance(table, ParquetTable) else {}


def _wider(path: Location, name: str, known: Any, values: Sequence[Any]) -> Any:
    """A type that holds a column's earlier values and these."""
    import pyarrow as pa

    try:
        kind = pa.array(values).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _no_type(path, name, error) from error
    return _unified(path, name, known, kind)


def _unified(path: Location, name: str, known: Any, kind: Any) -> Any:
    """A type that holds what two types hold."""
    import pyarrow as pa

    try:
        schemas = [pa.schema([(name, one)]) for one in (known, kind)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(name).type
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _no_type(path, name, error) from error


def _no_type(path: Location, name: str, error: Exception) -> DataError:
    return DataError(
        f"{path}, column {name!r}: {error}. A column of a Parquet file has one type; write the result as "
        ".jsonl or .csv, or mend the column."
    )
