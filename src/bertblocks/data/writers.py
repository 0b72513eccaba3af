"""Tables written batch by batch, and there only when they are complete."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

from bertblocks._files import replace_when_done
from bertblocks.data.parquet_writer import ParquetFile
from bertblocks.data.table_endings import CSV_ENDINGS, JSON_ENDINGS, PARQUET_ENDINGS
from bertblocks.errors import ConfigError, DataError

_SEPARATORS = {".csv": ",", ".txt": ",", ".tsv": "\t"}


class _Format(Protocol):
    def write(self, columns: Mapping[str, Sequence[Any]]) -> None: ...

    def close(self) -> None: ...


class TableWriter:
    """Takes batches of rows; made by `open_writer`.

    Attributes:
        path: The table that is being written.
        columns: Its columns, in order.
        num_rows: Rows written so far.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], file: _Format) -> None:
        self.path = path
        self.columns = columns
        self.num_rows = 0
        self._file = file

    def write(self, batch: Mapping[str, Sequence[Any]]) -> None:
        """Write some rows.

        Args:
            batch: The values of every column, all of the same length; None where one is missing.

        Raises:
            DataError: If the columns are not those announced, differ in length, or hold what the format
                cannot.
        """
        if set(batch) != set(self.columns):
            raise DataError(
                f"{self.path}: a batch has the columns {sorted(batch)}, but the table {sorted(self.columns)}."
            )
        lengths = {name: len(values) for name, values in batch.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{self.path}: the columns of a batch differ in length: {lengths}.")
        try:
            self._file.write({name: batch[name] for name in self.columns})
        except UnicodeEncodeError as error:
            raise DataError(
                f"{self.path}, after row {self.num_rows}: a text holds half a character (the lone surrogate "
                f"U+{ord(error.object[error.start]):04X}), which no file can hold."
            ) from error
        self.num_rows += lengths[self.columns[0]]


@contextmanager
def open_writer(
    path: str | Path, columns: Sequence[str], *, schema: Any | None = None
) -> Iterator[TableWriter]:
    """Write a table that takes its place, or replaces an existing one, when the block ends well.

    Args:
        path: CSV (.csv, .txt), TSV (.tsv), JSON Lines (.jsonl, .ndjson, .json), all also compressed (.gz), or
            Parquet (.parquet).
        columns: Names of the columns, in order.
        schema: A pyarrow.Schema for Parquet; None takes the types of the first batch, text where all is
            missing.

    Raises:
        DataError: If the ending is unknown, the columns are not distinct names, or there is no place for
            the file.
        ConfigError: If a schema is given for another format.
    """
    path = Path(path)
    check_writable(path, columns, schema)
    with replace_when_done(path) as temporary, writing(temporary, columns, schema, name=path) as writer:
        yield writer


@contextmanager
def writing(
    path: Path, columns: Sequence[str], schema: Any | None = None, *, name: Path | None = None
) -> Iterator[TableWriter]:
    """Write a table that check_writable allows, at once into its file; arguments as open_writer's.

    Args:
        path: The file.
        columns: Names of the columns.
        schema: For Parquet.
        name: What messages call it; None is its path.
    """
    names = tuple(columns)
    file = _open_format(path, names, _ending(name or path), schema)
    try:
        yield TableWriter(name or path, names, file)
    except BaseException:
        # What it was that failed matters, not that the rest cannot be closed in order.
        with suppress(Exception):
            file.close()
        raise
    file.close()


def check_writable(path: Path, columns: Sequence[str], schema: Any | None = None) -> None:
    """Refuse, before any work, what open_writer cannot write; arguments and errors as its."""
    ending = _ending(path)
    text = ending in CSV_ENDINGS + JSON_ENDINGS
    if not text and (ending not in PARQUET_ENDINGS or path.name.lower().endswith(".gz")):
        known = ", ".join(CSV_ENDINGS + JSON_ENDINGS + PARQUET_ENDINGS)
        raise DataError(
            f"{path}: cannot write a table with this ending. Known: {known}; text formats also with .gz."
        )
    if not columns or not all(columns) or len(set(columns)) != len(columns):
        raise DataError(f"{path}: columns must be distinct names, at least one; found {list(columns)}.")
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is there, but is not a file, so no table can take its place.")
    if schema is not None and text:
        raise ConfigError(f"schema has no effect: {path} is not a Parquet file.")
    if schema is not None and tuple(schema.names) != tuple(columns):
        raise ConfigError(
            f"{path}: the schema has the columns {schema.names}, but the table {list(columns)}."
        )


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def csv_header(columns: Sequence[str], ending: str) -> bytes:
    """What a CSV or TSV file with these columns begins with."""
    text = io.StringIO(newline="")
    _CsvFile(text, tuple(columns), _SEPARATORS[ending])
    return text.getvalue().encode("utf-8")


def _open_format(path: Path, columns: tuple[str, ...], ending: str, schema: Any | None) -> _Format:
    if ending in PARQUET_ENDINGS:
        return ParquetFile(path, columns, schema)
    if ending in CSV_ENDINGS:
        return _CsvFile(_open_text(path), columns, _SEPARATORS[ending])
    return _JsonLinesFile(_open_text(path))


class PackedText(io.TextIOWrapper):
    """Text into a .gz file whose bytes depend on the text alone: neither name nor time is in it."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)
        super().__init__(packed, encoding="utf-8", newline="")

    def close(self) -> None:
        """Finish the file."""
        super().close()
        self._raw.close()


def _open_text(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return PackedText(path)
    return path.open("w", encoding="utf-8", newline="")


class _CsvFile:
    def __init__(self, file: TextIO, columns: tuple[str, ...], separator: str) -> None:
        self._file = file
        # csv quotes only the characters of its line end, and both must be; lines still end with \n.
        self._writer = csv.writer(_UnixLines(file), delimiter=separator, lineterminator="\r\n")
        self._writer.writerow(columns)

    def write(self, columns: Mapping[str, Sequence[Any]]) -> None:
        cells = [
            vectors_as_json(values) if _are_vectors(values) else [_cell(value) for value in values]
            for values in columns.values()
        ]
        self._writer.writerows(zip(*cells, strict=True))

    def close(self) -> None:
        self._file.close()


class _UnixLines:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix("\r\n") + "\n")


class _JsonLinesFile:
    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, columns: Mapping[str, Sequence[Any]]) -> None:
        vectors = {name: vectors_as_json(values) for name, values in columns.items() if _are_vectors(values)}
        if vectors:
            self._write_joined(
                [vectors.get(name) or map(_json, values) for name, values in columns.items()], columns
            )
            return
        for values in zip(*columns.values(), strict=True):
            self._file.write(_json(dict(zip(columns, values, strict=True))) + "\n")

    def _write_joined(self, cells: Sequence[Iterable[str | None]], names: Iterable[str]) -> None:
        """Objects put together of their values' JSON."""
        keys = [_json(name) for name in names]
        for row in zip(*cells, strict=True):
            pairs = ", ".join([f"{key}: {cell or 'null'}" for key, cell in zip(keys, row, strict=True)])
            self._file.write(f"{{{pairs}}}\n")

    def close(self) -> None:
        self._file.close()


def _are_vectors(values: Sequence[Any]) -> bool:
    """Whether a column holds finite float32 vectors, besides missing values."""
    vectors = [value for value in values if value is not None]
    return bool(vectors) and all(
        isinstance(vector, np.ndarray)
        and vector.ndim == 1
        and vector.dtype == np.float32
        and bool(np.isfinite(vector).all())
        for vector in vectors
    )


def vectors_as_json(values: Sequence[Any]) -> list[str | None]:
    """JSON lists with as many digits as a float32 has; None for missing vectors.

    By Arrow, a column at once: number by number, writing a vector takes a tenth of the time that the encoder
    takes for a short text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    vectors = [np.empty(0, dtype=np.float32) if value is None else value for value in values]
    offsets = np.cumsum([0, *map(len, vectors)], dtype=np.int32)
    digits = pa.array(np.concatenate(vectors)).cast(pa.string())
    lists = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), digits), ", ").to_pylist()
    return [None if value is None else f"[{numbers}]" for value, numbers in zip(values, lists, strict=True)]


def _cell(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isnan(value):
        return ""
    return _json(value) if isinstance(value, (list, tuple, dict, np.ndarray)) else value


def _json(value: Any) -> str:
    try:
        return json.dumps(_jsonable(value), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"This cannot be written as JSON: {error}; found {value!r:.100}.") from error


def _jsonable(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, (list, tuple)) else value
