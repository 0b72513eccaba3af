"""A table's rows, window by window: read, checked and tokenized, and what is wrong with the bad ones."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bertblocks.data import InputColumn, RowProblem, TableBatch, column_name
from bertblocks.data.batches import RowRange, bad_rows
from bertblocks.data.inputs import input_problem, input_value
from bertblocks.errors import DataError
from bertblocks.inference.failing_rows import FAILED, apart
from bertblocks.inference.table_job import OnFailure, Shard, TableJob
from bertblocks.inference.text_windows import WINDOW_ROWS
from bertblocks.text import Encoded

_ADVICE = (
    "Mend the table, leave these rows without results with --skip-bad-rows, or have what is wrong with them "
    "in a column with --on-error column."
)

Encode = Callable[..., Encoded]


@dataclass(frozen=True, kw_only=True)
class TableWindow:
    """Some consecutive rows on their way into a model.

    Attributes:
        batch: The rows that could be read, and the problems of the others.
        empty: The problems of rows that have no usable text or list, by row.
        good: Which of the batch's rows have one.
        encoded: Their token ids.
    """

    batch: TableBatch
    empty: tuple[RowProblem, ...]
    good: list[int]
    encoded: Encoded

    @property
    def num_rows(self) -> int:
        """Rows of the table, also those that could not be read."""
        return len(self.batch.rows) + len(self.batch.problems)

    @property
    def last_row(self) -> int:
        """Number of the last of them."""
        return last_row(self.batch)

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """The results of the good rows in their places, None in the others."""
        column: list[Any] = [None] * len(self.batch.rows)
        for index, value in zip(self.good, values, strict=True):
            column[index] = value
        return column

    def without(self, failed: Mapping[int, str]) -> TableWindow:
        """The window without good rows on which the model has failed.

        Args:
            failed: Positions among the good rows, each with what went wrong.
        """
        if not failed:
            return self
        problems = [self._problem(self.good[position], message) for position, message in failed.items()]
        kept = [position for position in range(len(self.good)) if position not in failed]
        return replace(
            self,
            empty=tuple(sorted([*self.empty, *problems], key=lambda problem: problem.row)),
            good=[self.good[position] for position in kept],
            encoded=self.encoded.take(kept),
        )

    def _problem(self, index: int, message: str) -> RowProblem:
        line = self.batch.lines[index] if self.batch.lines else None
        row = self.batch.rows[index]
        return RowProblem(row=row, line=line, column=None, reason=FAILED, message=message)


@dataclass(frozen=True, kw_only=True)
class TableEnd:
    """Stands behind the last window of a table.

    Attributes:
        table: Its position in the job.
        num_rows: Its rows, as far as the job takes them.
    """

    table: int
    num_rows: int


def job_windows(
    job: TableJob, encode: Encode, finished: Mapping[Shard, int], ended: Sequence[int] = ()
) -> Generator[tuple[Shard, TableWindow] | TableEnd, None, None]:
    """Read and tokenize what a job has still to do, in the order of its rows.

    Args:
        job: The job.
        encode: The inputs' values, a list each → token ids.
        finished: Shards that are done, each with the number of its last row; they are passed over.
        ended: Positions of tables of which nothing is left to do.

    Raises:
        DataError: If there are bad rows and they are an error, or a table cannot be read.
    """
    for table in range(len(job.tables)):
        if table in ended:
            continue
        for item in table_batches(job, table, finished):
            if isinstance(item, TableEnd):
                yield item
            else:
                shard, batch = item
                yield shard, window_of(job, table, batch, encode)


def table_batches(
    job: TableJob, table: int, finished: Mapping[Shard, int]
) -> Iterator[tuple[Shard, TableBatch] | TableEnd]:
    """Read what is still to do of one table; no batch has rows of two shards.

    Args:
        job: The job.
        table: Position of the table.
        finished: Shards that are done, each with the number of its last row.
    """
    done = {shard.index: row for shard, row in finished.items() if shard.table == table}
    num_rows = max(done.values(), default=0)
    for rows in _gaps(job, table, sorted(done)):
        for batch in job.tables[table].batches(job.read, WINDOW_ROWS, rows):
            last = last_row(batch)
            num_rows = max(num_rows, last)
            yield job.shard_of(table, last), batch
    yield TableEnd(table=table, num_rows=num_rows)


def last_row(batch: TableBatch) -> int:
    """Number of a batch's last row, whether it could be read or not."""
    return max([*batch.rows[-1:], *(problem.row for problem in batch.problems[-1:])])


def _gaps(job: TableJob, table: int, done: Sequence[int]) -> Iterator[RowRange]:
    """The rows between the shards that are done, and those after the last."""
    size, index = job.options.shard_rows, 0
    for next_done in done:
        if next_done > index:
            yield job.rows_from(table, index * size + 1, next_done * size + 1)
        index = next_done + 1
    yield job.rows_from(table, index * size + 1)


def window_of(job: TableJob, table: int, batch: TableBatch, encode: Encode) -> TableWindow:
    """Check and tokenize the rows of a batch.

    Args:
        job: Says which columns go in, and what becomes of bad rows.
        table: Position of the table that the batch is from.
        batch: Its rows.
        encode: The inputs' values, a list each → token ids.

    Raises:
        DataError: If there are bad rows and they are an error.
    """
    source, on_bad_row = job.tables[table], job.options.on_bad_row
    empty = {problem.row: problem for problem in _input_problems(batch, job.inputs)}
    problems = [*batch.problems, *empty.values()]
    if problems and on_bad_row == "error":
        raise DataError(bad_rows(source.path, problems, _ADVICE))
    good = [index for index, row in enumerate(batch.rows) if row not in empty]
    window = _encoded(batch, tuple(empty.values()), good, job.inputs, encode, on_bad_row)
    return window if len(job.tables) == 1 else _named(window, source.path.name)


def _encoded(
    batch: TableBatch,
    empty: tuple[RowProblem, ...],
    good: list[int],
    inputs: Sequence[InputColumn],
    encode: Encode,
    on_bad_row: OnFailure,
) -> TableWindow:
    columns = [_values(batch, column, good) for column in inputs]
    if on_bad_row == "error":
        return TableWindow(batch=batch, empty=empty, good=good, encoded=encode(*columns))

    def encode_rows(positions: Sequence[int]) -> Encoded:
        return encode(*([column[position] for position in positions] for column in columns))

    parts, failed = apart(encode_rows, len(good))
    if not failed:
        return TableWindow(batch=batch, empty=empty, good=good, encoded=parts[0])
    kept = [position for position in range(len(good)) if position not in failed]
    window = TableWindow(batch=batch, empty=empty, good=good, encoded=encode_rows(kept))
    problems = [window._problem(good[position], message) for position, message in failed.items()]
    return replace(
        window,
        empty=tuple(sorted([*empty, *problems], key=lambda problem: problem.row)),
        good=[good[position] for position in kept],
    )


def _named(window: TableWindow, table: str) -> TableWindow:
    """The window with the table's name in its problems."""
    return replace(
        window,
        batch=replace(
            window.batch, problems=tuple(replace(problem, table=table) for problem in window.batch.problems)
        ),
        empty=tuple(replace(problem, table=table) for problem in window.empty),
    )


def _input_problems(batch: TableBatch, columns: Sequence[InputColumn]) -> Iterator[RowProblem]:
    """The first problem of every row that has one."""
    for index, row in enumerate(batch.rows):
        for column in columns:
            name = column_name(column)
            if problem := input_problem(batch.columns[name][index], column):
                reason, message = problem
                line = batch.lines[index] if batch.lines else None
                yield RowProblem(row=row, line=line, column=name, reason=reason, message=message)
                break


def _values(batch: TableBatch, column: InputColumn, rows: Sequence[int]) -> list[Any]:
    cells = batch.columns[column_name(column)]
    return [input_value(cells[index], column) for index in rows]
