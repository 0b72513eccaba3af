"""Windows through a model: the rows that a shard's part is written from, and what is counted of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertblocks.data import RowProblem
from bertblocks.data.writers import writing
from bertblocks.inference.failing_rows import apart
from bertblocks.inference.job_report import RowCounts
from bertblocks.inference.table_job import ERROR_COLUMN, TableJob
from bertblocks.inference.table_windows import TableWindow
from bertblocks.inference.vector_arrays import fill_vectors
from bertblocks.text import Encoded

# A vector takes ten times its memory as Python numbers and text: few rows at a time become these.
_WRITTEN_VECTORS = 256
_NOT_FINITE = "what the model gives for it is no finite number"


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a model gives for some rows.

    Attributes:
        columns: The results, by column.
        is_finite: For each row, whether they are numbers.
    """

    columns: Mapping[str, Sequence[Any]]
    is_finite: Sequence[bool]


Compute = Callable[[Encoded], Results]


@dataclass(frozen=True, kw_only=True)
class ResultRows:
    """Rows that are written.

    Attributes:
        columns: Their values, by column.
        num_rows: How many they are.
    """

    columns: Mapping[str, Sequence[Any]]
    num_rows: int


@dataclass(frozen=True, kw_only=True)
class DoneWindow:
    """A window after the model.

    Attributes:
        window: Without the rows on which the model failed.
        rows: What is written; every row of the window has its place.
    """

    window: TableWindow
    rows: ResultRows

    def count(self, counts: RowCounts, job: TableJob) -> None:
        """Count the window's rows, and what is wrong with the bad ones."""
        window = self.window
        # A row that cannot be read has a place only where there is a column for its error.
        dropped = () if job.options.on_bad_row == "column" else window.batch.problems
        empty = [*window.empty, *(() if dropped else window.batch.problems)]
        counts.add_problems(window.num_rows, empty=empty, dropped=dropped)
        counts.add(self.rows.num_rows, window.encoded)


def compute_window(window: TableWindow, compute: Compute, job: TableJob) -> DoneWindow:
    """Run a window's texts through a model; where the job says so, rows that make it fail are set apart."""
    if job.options.on_bad_row == "error":
        columns = compute(window.encoded).columns
    else:
        columns, failed = _computed_apart(window.encoded, compute)
        window = window.without(failed)
    spread = {name: window.spread(columns[name]) for name in job.results} if len(window.good) else {}
    results = {name: spread.get(name, [None] * len(window.batch.rows)) for name in job.results}
    rows = {**{name: window.batch.columns[name] for name in job.carried}, **results}
    if job.options.on_bad_row == "column":
        return _with_errors(window, rows)
    return DoneWindow(window=window, rows=ResultRows(columns=rows, num_rows=len(window.batch.rows)))


def _computed_apart(encoded: Encoded, compute: Compute) -> tuple[dict[str, list[Any]], dict[int, str]]:
    parts, failed = apart(
        lambda rows: compute(encoded if len(rows) == len(encoded) else encoded.take(rows)), len(encoded)
    )
    positions = [row for row in range(len(encoded)) if row not in failed]
    finite = [is_finite for part in parts for is_finite in part.is_finite]
    failed |= {row: _NOT_FINITE for row, good in zip(positions, finite, strict=True) if not good}
    names = parts[0].columns if parts else ()
    joined = {name: [value for part in parts for value in part.columns[name]] for name in names}
    kept = {
        name: [value for value, good in zip(values, finite, strict=True) if good]
        for name, values in joined.items()
    }
    return kept, failed


def _with_errors(window: TableWindow, rows: Mapping[str, Sequence[Any]]) -> DoneWindow:
    """All rows of the window, those that could not be read among the others, with what is wrong with them."""
    problems = {problem.row: problem for problem in (*window.batch.problems, *window.empty)}
    position = {row: index for index, row in enumerate(window.batch.rows)}
    order = sorted({*position, *problems})
    places = [position.get(row) for row in order]
    columns: dict[str, Sequence[Any]] = {
        name: [None if place is None else values[place] for place in places] for name, values in rows.items()
    }
    columns[ERROR_COLUMN] = [_told(problems[row]) if row in problems else None for row in order]
    return DoneWindow(window=window, rows=ResultRows(columns=columns, num_rows=len(order)))


def _told(problem: RowProblem) -> str:
    """A problem as a text that every file can hold."""
    text = " ".join([f"{problem}.", problem.hint] if problem.hint else [str(problem)])
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_part(path: Path, job: TableJob, schema: Any, width: int, parts: Iterable[ResultRows]) -> None:
    """Write a shard's rows.

    Args:
        path: Ends as the job's parts do.
        job: Names the columns.
        schema: For Parquet; else None.
        width: Of the vectors of an array.
        parts: Its rows, some at a time.
    """
    if job.is_array:
        fill_vectors(path, width, (_rows_of_vectors(rows, width) for rows in parts))
        return
    with writing(path, [*job.carried, *job.result_kinds], schema) as writer:
        for rows in parts:
            for columns in _in_portions(rows, job):
                writer.write(columns)


def _in_portions(rows: ResultRows, job: TableJob) -> Iterator[Mapping[str, Sequence[Any]]]:
    if "vector" not in job.results.values():
        yield rows.columns
        return
    for start in range(0, rows.num_rows, _WRITTEN_VECTORS):
        portion = slice(start, start + _WRITTEN_VECTORS)
        yield {name: values[portion] for name, values in rows.columns.items()}


def _rows_of_vectors(rows: ResultRows, width: int) -> Any:
    """A vector for every row; NaN where there is none."""
    vectors = np.full((rows.num_rows, width), np.nan, dtype=np.float32)
    for index, vector in enumerate(rows.columns["vector"]):
        if vector is not None:
            vectors[index] = vector
    return vectors
