"""Open a table by the ending of its file's name."""

from __future__ import annotations

from pathlib import Path

from bertblocks.data.batches import Table
from bertblocks.data.csv_tables import open_csv
from bertblocks.data.json_tables import open_json_lines
from bertblocks.data.text_files import is_utf8
from bertblocks.errors import ConfigError, DataError

CSV_ENDINGS = (".csv", ".tsv", ".txt")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
PARQUET_ENDINGS = (".parquet",)
EXCEL_ENDINGS = (".xlsx", ".xlsm")


def open_table(path: str | Path, *, encoding: str = "utf-8", sheet: str | None = None) -> Table:
    """Open a table for reading; nothing but its beginning is read yet.

    Args:
        path: CSV (.csv, .tsv, .txt; the separator is found by itself), JSON Lines (.jsonl, .ndjson, .json),
            both also compressed (.gz), Parquet (.parquet) or Excel (.xlsx).
        encoding: Of the text formats.
        sheet: Name of an Excel file's sheet; None takes the first.

    Raises:
        DataError: If there is no such file, its ending is unknown, or it has no header or no rows.
        ConfigError: If the encoding is unknown, or encoding or sheet has no effect on this format.
    """
    path = Path(path)
    _check_file(path)
    ending = _ending(path)
    if sheet is not None and ending not in EXCEL_ENDINGS:
        raise ConfigError(f"sheet={sheet!r} has no effect: {path} is not an Excel file.")
    if not is_utf8(encoding) and ending in PARQUET_ENDINGS + EXCEL_ENDINGS:
        raise ConfigError(
            f"encoding={encoding!r} has no effect: {path} says its encoding itself. Leave it out."
        )
    if ending in CSV_ENDINGS:
        return open_csv(path, encoding)
    if ending in JSON_ENDINGS:
        return open_json_lines(path, encoding)
    if ending in PARQUET_ENDINGS:
        # Imported where it is needed: a CSV file should not wait for it.
        from bertblocks.data.parquet_tables import open_parquet

        return open_parquet(path)
    from bertblocks.data.excel_tables import open_excel

    return open_excel(path, sheet)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected a table, one file.")
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes).")


def _ending(path: Path) -> str:
    name = path.name.lower()
    ending = Path(name.removesuffix(".gz")).suffix
    packable = CSV_ENDINGS + JSON_ENDINGS
    if ending in packable or (ending in PARQUET_ENDINGS + EXCEL_ENDINGS and not name.endswith(".gz")):
        return ending
    known = ", ".join(packable + PARQUET_ENDINGS + EXCEL_ENDINGS)
    advice = " Save it as .xlsx." if ending in (".xls", ".ods", ".numbers") else ""
    raise DataError(
        f"{path}: the name's ending says what kind of table it is, but {Path(name).suffix or 'none'!r} is "
        f"unknown. Known endings: {known}; text formats also with .gz.{advice}"
    )
