"""Open a table by the ending of its file's name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bertblocks.data.batches import NoRowsError, Table, check_columns
from bertblocks.data.csv_tables import open_csv
from bertblocks.data.finding import find_tables
from bertblocks.data.json_tables import open_json_lines
from bertblocks.data.locations import Location, kind_and_size, location_of
from bertblocks.data.table_endings import (
    CSV_ENDINGS,
    EXCEL_ENDINGS,
    JSON_ENDINGS,
    PARQUET_ENDINGS,
    table_ending,
)
from bertblocks.data.text_files import is_utf8
from bertblocks.errors import ConfigError, DataError


def open_table(
    path: str | Path | Location,
    *,
    encoding: str = "utf-8",
    sheet: str | None = None,
    filesystem: Any | None = None,
) -> Table:
    """Open a table for reading; nothing but its beginning is read yet.

    Args:
        path: CSV (.csv, .tsv, .txt; the separator is found by itself), JSON Lines (.jsonl, .ndjson, .json),
            both also compressed (.gz), Parquet (.parquet) or Excel (.xlsx); of this machine, or a URI of any
            of pyarrow's filesystems (s3://bucket/table.parquet).
        encoding: Of the text formats.
        sheet: Name of an Excel file's sheet; None takes the first.
        filesystem: A pyarrow.fs.FileSystem in which the path lies; None goes by the path.

    Raises:
        DataError: If there is no such file, its ending is unknown, or it has no header or no rows.
        ConfigError: If the encoding is unknown, or encoding or sheet has no effect on this format.
    """
    location = location_of(path, filesystem)
    _check_file(location)
    ending = table_ending(location)
    if sheet is not None and ending not in EXCEL_ENDINGS:
        raise ConfigError(f"sheet={sheet!r} has no effect: {location} is not an Excel file.")
    if not is_utf8(encoding) and ending in PARQUET_ENDINGS + EXCEL_ENDINGS:
        raise ConfigError(
            f"encoding={encoding!r} has no effect: {location} says its encoding itself. Leave it out."
        )
    if ending in CSV_ENDINGS:
        return open_csv(location, encoding)
    if ending in JSON_ENDINGS:
        return open_json_lines(location, encoding)
    if ending in PARQUET_ENDINGS:
        # Imported where it is needed: a CSV file should not wait for it.
        from bertblocks.data.parquet_tables import open_parquet

        return open_parquet(location)
    from bertblocks.data.excel_tables import open_excel

    return open_excel(location, sheet)


def open_tables(
    source: str | Path,
    *,
    encoding: str = "utf-8",
    sheet: str | None = None,
    filesystem: Any | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> list[Table]:
    """Open a table, or all tables of a folder or pattern, in the order of their names.

    Args:
        source: As find_tables takes it.
        encoding: This and the next two as open_table takes them.
        sheet: Name of an Excel file's sheet.
        filesystem: In which the source lies.
        say: Told what of a folder is passed over: files that are no tables, and tables without rows.

    Raises:
        DataError: If there is none, one cannot be read, or they differ in their columns.
        ConfigError: As open_table.
    """
    found = find_tables(source, filesystem)
    if found.others:
        say(f"{source}: passed over, as no tables by their ending: {_first(found.others)}.")
    if len(found.locations) == 1:
        return [open_table(found.locations[0], encoding=encoding, sheet=sheet)]
    tables, without_rows = [], []
    for location in found.locations:
        try:
            tables.append(open_table(location, encoding=encoding, sheet=sheet))
        except NoRowsError:
            without_rows.append(str(location))
    if without_rows:
        say(f"{source}: passed over, as they have no rows: {_first(without_rows)}.")
    if not tables:
        raise NoRowsError(f"{source} has no table with a row.")
    return tables


def check_alike(tables: Sequence[Table], columns: Sequence[str] | None = None) -> None:
    """Refuse tables that cannot be one.

    Args:
        tables: In order.
        columns: Those that are read; None is all of the first.

    Raises:
        DataError: If a table lacks one of the columns or, where all are read, has others.
    """
    first, *others = tables
    for table in others:
        check_columns(table.path, table.columns, columns or first.columns)
        if columns is None and set(table.columns) != set(first.columns):
            more = sorted(set(table.columns) - set(first.columns))
            raise DataError(
                f"{table.path} has the columns {more}, which {first.path} has not: tables that are read "
                "together must have the same. Name the ones to keep with --columns."
            )


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _check_file(location: Location) -> None:
    kind, size = kind_and_size(location)
    if kind == "folder":
        raise DataError(f"{location} is a folder; expected a table, one file.")
    if kind == "missing":
        raise DataError(f"{location} does not exist.")
    if kind == "file" and size == 0:
        raise NoRowsError(f"{location} is empty (0 bytes).")
