"""Whole tables through a model, streamed: memory does not grow with the rows, and their order stays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bertblocks._files import replace_when_done
from bertblocks.blocks import Task
from bertblocks.data import RowProblem, Table, TableBatch, open_writer
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference.predictions import Predictions
from bertblocks.inference.predictor import Predictor
from bertblocks.inference.text_encoder import TextEncoder, VectorOutput

# Rows that are sorted by length and computed together: enough to sort well, few enough to hold.
WINDOW_ROWS = 4096
_SHOWN = 5

OnBatch = Callable[[int], None]
OnBadRow = Literal["error", "skip"]


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What happened to a table's rows.

    Attributes:
        num_rows: Rows written.
        num_truncated: Rows whose text was cut.
        num_empty: Rows without a usable text; their results are empty.
        num_dropped: Rows of the file that could not be read at all, and are not in the result.
    """

    num_rows: int
    num_truncated: int
    num_empty: int
    num_dropped: int


def prediction_columns(task: Task) -> list[str]:
    """The columns that predict_table adds, in order."""
    probabilities = [f"probability:{label}" for label in task.labels]
    return ["prediction", *probabilities, "num_tokens", "truncated"]


def predict_table(
    predictor: Predictor,
    table: Table,
    output: Path,
    *,
    on_bad_row: OnBadRow = "error",
    on_batch: OnBatch | None = None,
) -> JobReport:
    """Predict every row of a table and write it with the predictions beside its columns.

    Args:
        predictor: The model.
        table: Has the text columns that the model's graph names.
        output: CSV, TSV, JSON Lines or Parquet by its ending; there only when it is complete.
        on_bad_row: "skip" leaves the results of rows without a text empty, and drops unreadable rows.
        on_batch: Called with the number of rows after each batch.

    Raises:
        DataError: If a column is missing or has a result's name, or a row cannot be used.
    """
    columns = [block.column for block in predictor.model.graph.inputs]
    _check_columns(table, columns)
    added = prediction_columns(predictor.model.task)
    if clashing := sorted(set(added) & set(table.columns)):
        raise ConfigError(
            f"{table.path} has columns {clashing}, which are names of results; rename them in the table."
        )
    counts = _Counts()
    with open_writer(output, [*table.columns, *added]) as writer:
        for batch in _batches(table, columns, on_bad_row, counts):
            good, texts = _texts(batch, columns)
            found = predictor.predict(*texts)
            counts.add(len(batch.rows), good, found.truncated)
            results = _result_columns(predictor.model.task, found)
            spread = {name: _spread(values, good, len(batch.rows)) for name, values in results.items()}
            writer.write({**batch.columns, **spread})
            if on_batch is not None:
                on_batch(len(batch.rows))
    return counts.report()


def embed_table(
    encoder: TextEncoder,
    table: Table,
    output: Path,
    *,
    text: str,
    pooling: VectorOutput = "cls",
    sequence_length: int = 512,
    on_bad_row: OnBadRow = "error",
    on_batch: OnBatch | None = None,
) -> JobReport:
    """Write every row's vector: as an array (.npy, one row each), or as a column of lists beside the others.

    Args:
        encoder: Gives the vectors.
        table: Has the text column.
        output: .npy, or a table's ending.
        text: Column of texts.
        pooling: How token vectors become one.
        sequence_length: Most tokens of a text.
        on_bad_row: "skip" leaves the vectors of rows without a text empty (NaN in .npy), and drops rows that
            cannot be read.
        on_batch: Called with the number of rows after each batch.

    Raises:
        DataError: If the column is missing or a row cannot be used.
    """
    _check_columns(table, [text])
    counts = _Counts()

    def vectors() -> Iterator[tuple[TableBatch, NDArray[np.float32]]]:
        for batch in _batches(table, [text], on_bad_row, counts):
            good, (texts,) = _texts(batch, [text])
            encoded = encoder.tokenizer.with_sequence_length(sequence_length).encode(texts)
            rows = np.full((len(batch.rows), encoder.config.hidden_size), np.nan, dtype=np.float32)
            rows[good] = encoder.vectors(encoded, pooling)
            counts.add(len(batch.rows), good, encoded.truncated)
            yield batch, rows
            if on_batch is not None:
                on_batch(len(batch.rows))

    if output.suffix.lower() == ".npy":
        _write_array(output, _count_rows(table, text), encoder.config.hidden_size, vectors())
        return counts.report()
    if "vector" in table.columns:
        raise ConfigError(f"{table.path} has a column 'vector', which is the result's name; rename it.")
    with open_writer(output, [*table.columns, "vector"]) as writer:
        for batch, rows in vectors():
            lists = [None if np.isnan(row[0]) else row.tolist() for row in rows]
            writer.write({**batch.columns, "vector": lists})
    return counts.report()


class _Counts:
    """Adds up a JobReport."""

    def __init__(self) -> None:
        self.num_rows = self.num_truncated = self.num_empty = self.num_dropped = 0

    def add(self, num_rows: int, good: Sequence[int], truncated: NDArray[np.bool_]) -> None:
        self.num_rows += num_rows
        self.num_empty += num_rows - len(good)
        self.num_truncated += int(truncated.sum())

    def report(self) -> JobReport:
        return JobReport(**vars(self))


def _check_columns(table: Table, columns: Sequence[str]) -> None:
    if missing := [column for column in columns if column not in table.columns]:
        raise DataError(
            f"{table.path} has no column {', '.join(map(repr, missing))}; its columns are "
            f"{', '.join(map(repr, table.columns))}."
        )


def _batches(
    table: Table, columns: Sequence[str], on_bad_row: OnBadRow, counts: _Counts
) -> Iterator[TableBatch]:
    """The table's batches; bad rows are an error, or are counted."""
    for batch in table.batches(None, WINDOW_ROWS):
        problems = [*batch.problems, *_text_problems(batch, columns)]
        if problems and on_bad_row == "error":
            shown = "; ".join(str(problem) for problem in problems[:_SHOWN])
            raise DataError(
                f"{table.path}, {shown}. Mend the table, or leave their results empty with --skip-bad-rows."
            )
        counts.num_dropped += len(batch.problems)
        if batch.rows:
            yield batch


def _text_problems(batch: TableBatch, columns: Sequence[str]) -> Iterator[RowProblem]:
    for column in columns:
        for index, value in enumerate(batch.columns[column]):
            if not _is_text(value):
                yield RowProblem(
                    row=batch.rows[index],
                    line=batch.lines[index] if batch.lines else None,
                    column=column,
                    reason="missing value",
                    message=f"expected a text, found {value!r}"[:200],
                )


def _texts(batch: TableBatch, columns: Sequence[str]) -> tuple[list[int], list[list[str]]]:
    """Which rows have all their texts, and these texts by column."""
    values = [batch.columns[column] for column in columns]
    good = [i for i in range(len(batch.rows)) if all(_is_text(column[i]) for column in values)]
    return good, [[str(column[i]) for i in good] for column in values]


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _result_columns(task: Task, found: Predictions) -> dict[str, list[Any]]:
    """The results as columns."""
    answers: list[Any] = [list(a) if isinstance(a, tuple) else a for a in found.answers]
    columns: dict[str, list[Any]] = {"prediction": answers}
    for index, label in enumerate(task.labels):
        columns[f"probability:{label}"] = [round(float(p), 6) for p in found.scores[:, index]]
    columns["num_tokens"] = found.num_tokens.tolist()
    columns["truncated"] = found.truncated.tolist()
    return columns


def _spread(values: list[Any], good: Sequence[int], num_rows: int) -> list[Any]:
    """The results of the good rows in their places, None in the others."""
    column: list[Any] = [None] * num_rows
    for index, value in zip(good, values, strict=True):
        column[index] = value
    return column


def _count_rows(table: Table, column: str) -> int:
    """Rows that can be read; a pass of its own, since an array's header comes before its rows."""
    return sum(len(batch.rows) for batch in table.batches([column], WINDOW_ROWS))


def _write_array(
    output: Path, num_rows: int, width: int, batches: Iterator[tuple[TableBatch, NDArray[np.float32]]]
) -> None:
    with replace_when_done(output) as unfinished:
        array = open_memmap(unfinished, mode="w+", dtype=np.float32, shape=(num_rows, width))
        start = 0
        for _, rows in batches:
            array[start : start + len(rows)] = rows
            start += len(rows)
        array.flush()
        del array
