"""What the ending of a file's name says of the table in it."""

from __future__ import annotations

from pathlib import PurePosixPath

from bertblocks.data.locations import Location
from bertblocks.errors import DataError

CSV_ENDINGS = (".csv", ".tsv", ".txt")
JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
PARQUET_ENDINGS = (".parquet",)
EXCEL_ENDINGS = (".xlsx", ".xlsm")


def has_known_ending(name: str) -> bool:
    """Whether a file is a table by its name."""
    return _known_ending(name) is not None


def table_ending(location: Location) -> str:
    """What kind of table a file is: its ending, without .gz.

    Raises:
        DataError: If no kind of table has this ending.
    """
    if (ending := _known_ending(location.name)) is not None:
        return ending
    name = location.name.lower()
    found = PurePosixPath(name).suffix or "none"
    known = ", ".join(CSV_ENDINGS + JSON_ENDINGS + PARQUET_ENDINGS + EXCEL_ENDINGS)
    unpacked = PurePosixPath(name.removesuffix(".gz")).suffix
    advice = " Save it as .xlsx." if unpacked in (".xls", ".ods", ".numbers") else ""
    raise DataError(
        f"{location}: the name's ending says what kind of table it is, but {found!r} is unknown. Known "
        f"endings: {known}; text formats also with .gz.{advice}"
    )


def _known_ending(name: str) -> str | None:
    name = name.lower()
    ending = PurePosixPath(name.removesuffix(".gz")).suffix
    if ending in CSV_ENDINGS + JSON_ENDINGS:
        return ending
    return ending if ending in PARQUET_ENDINGS + EXCEL_ENDINGS and not name.endswith(".gz") else None
