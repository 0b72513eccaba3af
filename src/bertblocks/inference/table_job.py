"""What a job over tables is: its rows, what becomes of each, and what makes it the same job when it goes on.

A job is divided into shards: so many consecutive rows of one table. Each becomes a part, a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from json import dumps
from typing import Any, Literal, get_args

from bertblocks._version import __version__
from bertblocks.data import InputColumn, Table, column_name
from bertblocks.data.batches import RowRange
from bertblocks.data.locations import file_state
from bertblocks.errors import ConfigError
from bertblocks.inference.result_tables import ResultKind

OnFailure = Literal["error", "skip", "column"]
"""What becomes of rows that cannot be used, see JobOptions."""

SHARD_ROWS = 16_384
"""Rows of a shard: some seconds to minutes of work, which is what a kill may cost."""

ERROR_COLUMN = "error"


@dataclass(frozen=True, kw_only=True, order=True)
class Shard:
    """Some consecutive rows of one table of a job.

    Attributes:
        table: Position of the table in the job, from 0.
        index: Position of the shard in its table, from 0.
    """

    table: int
    index: int

    @property
    def name(self) -> str:
        """What its files are called, without an ending; in the order of the rows."""
        return f"part-{self.table:06}-{self.index:06}"

    @classmethod
    def of_name(cls, name: str) -> Shard | None:
        """The shard whose files are called so; None where none is."""
        kind, *numbers = name.split("-")
        if kind != "part" or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            return None
        return cls(table=int(numbers[0]), index=int(numbers[1]))


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """Which rows and columns a job takes, and what becomes of rows that cannot be used.

    Attributes:
        columns: The columns of the tables that are carried into the result; None carries all.
        on_bad_row: "error" ends the job at the first row that cannot be used. "skip" leaves the results of
            rows without a usable text empty, and drops rows that cannot be read. "column" keeps every row,
            and says in the column "error" what is wrong with it.
        limit: Most rows that are taken; None takes all.
        shard_rows: Rows of a shard.
        deduplicate: Whether equal texts among some thousand rows are computed once.

    Raises:
        ConfigError: If a value cannot be.
    """

    columns: tuple[str, ...] | None = None
    on_bad_row: OnFailure = "error"
    limit: int | None = None
    shard_rows: int = SHARD_ROWS
    deduplicate: bool = True

    def __post_init__(self) -> None:
        if self.on_bad_row not in get_args(OnFailure):
            raise ConfigError(f"on_bad_row is {self.on_bad_row!r}, but must be 'error', 'skip' or 'column'.")
        for name in ("limit", "shard_rows"):
            value = getattr(self, name)
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            if not (is_whole and value > 0) and not (name == "limit" and value is None):
                raise ConfigError(f"{name} is {value!r}, but must be a whole number above 0.")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ConfigError(f"columns are {list(self.columns)}, but each can be carried only once.")


@dataclass(frozen=True, kw_only=True)
class TableJob:
    """A job over tables; it can be pickled.

    Attributes:
        what: What is done with a row: "predict" or "embed".
        tables: In order, with the same columns.
        inputs: The columns that go into the model.
        results: The columns that come out of it, each with its kind.
        options: Of rows and columns.
        ending: Of the parts' files: .csv, .tsv, .jsonl, .parquet or .npy.
        model: What the results depend on besides: the model's sha256, the precision, how texts are read.
        environment: What changes the last bits at most.
        row_limits: Most rows of each table, where the limit ends among them.
    """

    what: Literal["predict", "embed"]
    tables: tuple[Table, ...]
    inputs: tuple[InputColumn, ...]
    results: Mapping[str, ResultKind]
    options: JobOptions
    ending: str
    model: Mapping[str, Any]
    environment: Mapping[str, Any] = field(default_factory=dict)
    row_limits: tuple[int | None, ...] = ()

    @property
    def carried(self) -> tuple[str, ...]:
        """The tables' columns in the result; none of them stands in an array."""
        if self.is_array:
            return ()
        return self.tables[0].columns if self.options.columns is None else self.options.columns

    @property
    def read(self) -> list[str] | None:
        """The columns that are read; None for all."""
        if self.options.columns is None and not self.is_array:
            return None
        return list(dict.fromkeys([*self.carried, *map(column_name, self.inputs)]))

    @property
    def is_array(self) -> bool:
        """Whether the result is an array of vectors."""
        return self.ending == ".npy"

    @property
    def result_kinds(self) -> dict[str, ResultKind]:
        """The columns that are added to those of the tables, in order."""
        errors: dict[str, ResultKind] = {ERROR_COLUMN: "text"} if self.options.on_bad_row == "column" else {}
        return {**self.results, **errors}

    def rows_from(self, table: int, start: int, stop: int | None = None) -> RowRange:
        """Rows of a table, cut at the shards' ends; those beyond the limit are left out.

        Args:
            table: Its position.
            start: The first row, from 1.
            stop: The row that is not read any more; None reads to the end.
        """
        limit = self.row_limits[table] if self.row_limits else None
        ends = [end for end in (stop, None if limit is None else limit + 1) if end is not None]
        return RowRange(start=start, stop=min(ends, default=None), cut_rows=self.options.shard_rows)

    def shard_rows(self, shard: Shard) -> RowRange:
        """The rows of a shard."""
        size = self.options.shard_rows
        return self.rows_from(shard.table, shard.index * size + 1, (shard.index + 1) * size + 1)

    def shard_of(self, table: int, row: int) -> Shard:
        """The shard to which a row belongs."""
        return Shard(table=table, index=(row - 1) // self.options.shard_rows)

    @cached_property
    def table_states(self) -> list[dict[str, Any]]:
        """What each table is known by again."""
        return [{"name": table.path.name, **asdict(file_state(table.path))} for table in self.tables]

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a job to go on; JSON types."""
        options = asdict(self.options)
        options["columns"] = None if self.options.columns is None else list(self.options.columns)
        return {
            "bertblocks": __version__,
            "job": self.what,
            "model": dict(self.model),
            "options": {**options, "ending": self.ending},
            "tables": self.table_states,
        }

    @property
    def sha256(self) -> str:
        """The sha256 of its identity."""
        return sha256(dumps(self.identity, sort_keys=True).encode("utf-8")).hexdigest()

    def limited(self) -> TableJob:
        """The job with its limit divided among the tables; rows are counted up to it."""
        left = self.options.limit
        if left is None:
            return self
        tables: list[Table] = []
        limits: list[int | None] = []
        for table in self.tables:
            if not left:
                break
            found = _count_rows(table, left)
            tables.append(table)
            limits.append(min(found, left))
            left -= min(found, left)
        return replace(self, tables=tuple(tables), row_limits=tuple(limits))


def _count_rows(table: Table, at_most: int) -> int:
    """Rows of a table, but no more than so many, bad ones included."""
    batches = table.batches(table.columns[:1], rows=RowRange(stop=at_most + 1))
    return sum(len(batch.rows) + len(batch.problems) for batch in batches)
