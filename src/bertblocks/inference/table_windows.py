"""A table's rows, window by window: read, checked and tokenized, and what is wrong with the bad ones."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from bertblocks.data import InputColumn, OnBadRow, RowProblem, Table, TableBatch, column_name
from bertblocks.data.batches import bad_rows
from bertblocks.data.inputs import input_problem, input_value
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference.text_windows import WINDOW_ROWS
from bertblocks.text import Encoded

_ADVICE = "Mend the table, or leave these rows without results with --skip-bad-rows."


@dataclass(frozen=True, kw_only=True)
class TableWindow:
    """Some consecutive rows on their way into a model.

    Attributes:
        batch: The rows that could be read, and the problems of the others.
        empty: The problems of rows that have no usable text or list.
        good: Which of the batch's rows have one.
        encoded: Their token ids.
    """

    batch: TableBatch
    empty: tuple[RowProblem, ...]
    good: list[int]
    encoded: Encoded

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """The results of the good rows in their places, None in the others."""
        column: list[Any] = [None] * len(self.batch.rows)
        for index, value in zip(self.good, values, strict=True):
            column[index] = value
        return column


def table_windows(
    table: Table,
    read: Sequence[str] | None,
    inputs: Sequence[InputColumn],
    encode: Callable[..., Encoded],
    on_bad_row: OnBadRow,
) -> Generator[TableWindow, None, None]:
    """Read a table for a model.

    Args:
        table: Has the columns.
        read: The columns to read; None reads all.
        inputs: Those among them that go into the model.
        encode: Their values, a list each → token ids.
        on_bad_row: "skip" leaves bad rows out of what is encoded.

    Raises:
        DataError: If there are bad rows and they are an error.
        ConfigError: If on_bad_row is unknown.
    """
    if on_bad_row not in get_args(OnBadRow):
        raise ConfigError(f"on_bad_row is {on_bad_row!r}, but must be 'error' or 'skip'.")
    for batch in table.batches(read, WINDOW_ROWS):
        empty = {problem.row: problem for problem in _input_problems(batch, inputs)}
        problems = [*batch.problems, *empty.values()]
        if problems and on_bad_row == "error":
            raise DataError(bad_rows(table.path, problems, _ADVICE))
        good = [index for index, row in enumerate(batch.rows) if row not in empty]
        yield TableWindow(
            batch=batch,
            empty=tuple(empty.values()),
            good=good,
            encoded=encode(*(_values(batch, column, good) for column in inputs)),
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
