"""Whole tables through a model, streamed: memory does not grow with the rows, and their order stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from bertblocks._files import replace_when_done
from bertblocks.blocks import Task, TaskKind, Windowing
from bertblocks.data import (
    InputColumn,
    OnBadRow,
    RowProblem,
    RowReport,
    Table,
    TableBatch,
    TokenIdsColumn,
    column_name,
)
from bertblocks.data.batches import Reason, bad_rows
from bertblocks.data.inputs import input_problem, input_value
from bertblocks.encoder import Pooling, WindowPooling
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference.predictions import Predictions, rounded
from bertblocks.inference.predictor import Predictor
from bertblocks.inference.result_tables import ResultKind, check_table, open_result
from bertblocks.inference.text_encoder import TextEncoder
from bertblocks.text import Encoded

# Rows that are sorted by length and computed together: enough to sort well, few enough to hold.
CHUNK_ROWS = 4096
_ADVICE = "Mend the table, or leave these rows without results with --skip-bad-rows."

_LOG = logging.getLogger(__name__)

OnBatch = Callable[[int], None]
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What happened to a table's rows.

    Attributes:
        num_rows: Rows written.
        num_truncated: Rows whose text was cut.
        num_in_windows: Rows whose text was longer than sequence_length, and read in windows.
        sequence_length: Most tokens of a text or window.
        num_unknown: Unknown tokens among those read.
        num_tokens_read: Tokens read, special ones included, cut ones not.
        num_empty: Rows without a usable text; their results are empty.
        num_dropped: Rows of the file that could not be read at all, and are not in the result.
        skipped: Rows of both kinds by reason.
    """

    num_rows: int
    num_truncated: int
    num_in_windows: int
    sequence_length: int
    num_unknown: int
    num_tokens_read: int
    num_empty: int
    num_dropped: int
    skipped: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def unknown_share(self) -> float:
        """Unknown tokens among all tokens read, 0 to 1."""
        return self.num_unknown / max(1, self.num_tokens_read)


def predict_table(
    predictor: Predictor,
    table: Table,
    output: Path,
    *,
    on_bad_row: OnBadRow = "error",
    on_batch: OnBatch | None = None,
    say: Say = _LOG.info,
) -> JobReport:
    """Predict every row of a table and write it with the predictions beside its columns.

    Args:
        predictor: The model.
        table: Has the columns that the model's graph names.
        output: CSV, TSV, JSON Lines or Parquet by its ending; there only when it is complete.
        on_bad_row: "skip" leaves the results of rows without a usable text or list empty, and drops
            unreadable rows.
        on_batch: Called with the number of rows after each batch.
        say: Told, in sentences, which rows have no prediction.

    Raises:
        DataError: If a column is missing or has a result's name, or a row cannot be used.
    """
    columns = predictor.model.columns
    results = _result_kinds(predictor.model.task)
    check_table(table, [column_name(column) for column in columns], list(results))
    for column in columns:
        if isinstance(column, TokenIdsColumn):
            column.check_table(table)
    _refuse_to_replace_input(table, output)
    model = predictor.model
    counts = _Counts(model.sequence_length, slides=model.token_limit is None)
    with open_result(output, table, results) as writer:
        for batch in _batches(table, None, columns, on_bad_row, counts):
            good, inputs = _inputs(batch, columns)
            found = predictor.predict(*inputs)
            counts.add(len(batch.rows), found)
            values = _result_columns(model.task, found)
            spread = {name: _spread(column, good, len(batch.rows)) for name, column in values.items()}
            writer.write({**batch.columns, **spread})
            if on_batch is not None:
                on_batch(len(batch.rows))
    counts.tell(table, "prediction", say)
    return counts.report()


def embed_table(
    encoder: TextEncoder,
    table: Table,
    output: Path,
    *,
    text: str,
    pooling: Pooling | None = None,
    sequence_length: int | None = None,
    windows: Windowing | None = None,
    stride: int | None = None,
    window_pooling: WindowPooling | None = None,
    on_bad_row: OnBadRow = "error",
    on_batch: OnBatch | None = None,
    say: Say = _LOG.info,
) -> JobReport:
    """Write every row's vector: as an array (.npy, one row each), or as a column of lists beside the others.

    Args:
        encoder: Gives the vectors.
        table: Has the text column.
        output: .npy, or a table's ending.
        text: Column of texts.
        pooling: How token vectors become one; None is the encoder's own way.
        sequence_length: Most tokens of a text or window; this and the next three as TextEncoder.encode takes
            them.
        windows: Whether longer texts are cut, or read in windows.
        stride: Tokens from one window to the next.
        window_pooling: How the vectors of a text's windows become one.
        on_bad_row: "skip" leaves the vectors of rows without a text empty (NaN in .npy), and drops rows that
            cannot be read.
        on_batch: Called with the number of rows after each batch.
        say: Told, in sentences, which rows have no vector.

    Raises:
        DataError: If the column is missing or has the result's name, or a row cannot be used.
        ConfigError: If pooling, sequence_length or an option of windows cannot be used.
    """
    is_array = output.suffix.lower() == ".npy"
    check_table(table, [text], [] if is_array else ["vector"])
    _refuse_to_replace_input(table, output)
    read = [text] if is_array else None
    encoder.check_window_pooling(windows, window_pooling)
    tokenizer = encoder.tokenizer_for(sequence_length, windows, stride)
    counts = _Counts(tokenizer.sequence_length, slides=tokenizer.windows == "slide")

    def vectors() -> Iterator[tuple[TableBatch, NDArray[np.float32]]]:
        for batch in _batches(table, read, [text], on_bad_row, counts):
            good, (texts,) = _inputs(batch, [text])
            encoded = tokenizer.encode(texts)
            rows = np.full((len(batch.rows), encoder.config.hidden_size), np.nan, dtype=np.float32)
            rows[good] = encoder.vectors(encoded, pooling or encoder.pooling, window_pooling=window_pooling)
            counts.add(len(batch.rows), encoded)
            yield batch, rows
            if on_batch is not None:
                on_batch(len(batch.rows))

    if is_array:
        _write_array(output, _count_rows(table, text), encoder.config.hidden_size, vectors())
    else:
        with open_result(output, table, {"vector": "vector"}) as writer:
            for batch, rows in vectors():
                lists = [None if np.isnan(row[0]) else row.tolist() for row in rows]
                writer.write({**batch.columns, "vector": lists})
    counts.tell(table, "vector", say)
    return counts.report()


def _refuse_to_replace_input(table: Table, output: Path) -> None:
    if output.resolve() == Path(table.path).resolve():
        raise ConfigError(f"The output {output} is the table that is read; give it another name.")


class _Counts:
    """Adds up a JobReport."""

    def __init__(self, sequence_length: int, *, slides: bool) -> None:
        self._num_rows = self._num_truncated = self._num_in_windows = 0
        self._num_unknown = self._num_tokens_read = 0
        self._empty, self._dropped = RowReport(), RowReport()
        self._sequence_length = sequence_length
        self._slides = slides

    def add_problems(self, batch: TableBatch, empty: list[RowProblem]) -> None:
        """Count a batch's bad rows: those that could not be read, and those that have no usable text."""
        num_rows = len(batch.rows) + len(batch.problems)
        self._dropped.add(num_rows, list(batch.problems))
        self._empty.add(num_rows, empty)

    def add(self, num_rows: int, found: Predictions | Encoded) -> None:
        """Count a batch: all its rows, and what was found for those that have a text."""
        self._num_rows += num_rows
        self._num_truncated += int(found.truncated.sum())
        self._num_unknown += int(found.num_unknown.sum())
        read = found.num_tokens
        if self._slides:
            self._num_in_windows += int((read > self._sequence_length).sum())
        else:
            read = np.minimum(read, self._sequence_length)
        self._num_tokens_read += int(read.sum())

    def tell(self, table: Table, result: str, say: Say) -> None:
        """Say which rows have no result, and which are not there, each with the reasons."""
        for sentence in (
            self._empty.summary(f"has no {result}", f"have no {result}"),
            self._dropped.summary("could not be read and is left out", "could not be read and are left out"),
        ):
            if sentence:
                say(f"{table.path}: {sentence}")

    def report(self) -> JobReport:
        return JobReport(
            num_rows=self._num_rows,
            num_truncated=self._num_truncated,
            num_in_windows=self._num_in_windows,
            sequence_length=self._sequence_length,
            num_unknown=self._num_unknown,
            num_tokens_read=self._num_tokens_read,
            num_empty=self._empty.total_skipped,
            num_dropped=self._dropped.total_skipped,
            # No reason is of both kinds.
            skipped={**self._empty.num_skipped, **self._dropped.num_skipped},
        )


def _batches(
    table: Table,
    read: Sequence[str] | None,
    inputs: Sequence[InputColumn],
    on_bad_row: OnBadRow,
    counts: _Counts,
) -> Iterator[TableBatch]:
    """The table's batches with the columns to read (None: all); bad rows are an error, or are counted."""
    if on_bad_row not in get_args(OnBadRow):
        raise ConfigError(f"on_bad_row is {on_bad_row!r}, but must be 'error' or 'skip'.")
    for batch in table.batches(read, CHUNK_ROWS):
        empty = list(_input_problems(batch, inputs))
        problems = [*batch.problems, *empty]
        if problems and on_bad_row == "error":
            raise DataError(bad_rows(table.path, problems, _ADVICE))
        counts.add_problems(batch, empty)
        if batch.rows:
            yield batch


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


def _inputs(batch: TableBatch, columns: Sequence[InputColumn]) -> tuple[list[int], list[list[Any]]]:
    """Which rows have all their inputs, and these inputs by column."""
    values = [(column, batch.columns[column_name(column)]) for column in columns]
    good = [
        i
        for i in range(len(batch.rows))
        if not any(input_problem(cells[i], column) for column, cells in values)
    ]
    return good, [[input_value(cells[i], column) for i in good] for column, cells in values]


def _result_kinds(task: Task) -> dict[str, ResultKind]:
    """The columns that predict_table adds, in order."""
    answers: dict[TaskKind, ResultKind] = {"regression": "number", "multilabel": "texts"}
    return {
        "prediction": answers.get(task.kind, "text"),
        **{f"probability:{label}": "number" for label in task.labels},
        "num_tokens": "count",
        "truncated": "flag",
        "num_unknown": "count",
    }


def _result_columns(task: Task, found: Predictions) -> dict[str, list[Any]]:
    """The results as columns."""
    answers: list[Any] = [list(a) if isinstance(a, tuple) else a for a in found.answers]
    if task.kind == "regression":
        answers = [rounded(task, score) for score in found.scores.tolist()]
    columns: dict[str, list[Any]] = {"prediction": answers}
    for index, label in enumerate(task.labels):
        columns[f"probability:{label}"] = [round(float(p), 6) for p in found.scores[:, index]]
    columns["num_tokens"] = found.num_tokens.tolist()
    columns["truncated"] = found.truncated.tolist()
    columns["num_unknown"] = found.num_unknown.tolist()
    return columns


def _spread(values: list[Any], good: Sequence[int], num_rows: int) -> list[Any]:
    """The results of the good rows in their places, None in the others."""
    column: list[Any] = [None] * num_rows
    for index, value in zip(good, values, strict=True):
        column[index] = value
    return column


def _count_rows(table: Table, column: str) -> int:
    """Rows that can be read; a pass of its own, since an array's header comes before its rows."""
    return sum(len(batch.rows) for batch in table.batches([column], CHUNK_ROWS))


def _write_array(
    output: Path, num_rows: int, width: int, batches: Iterator[tuple[TableBatch, NDArray[np.float32]]]
) -> None:
    with replace_when_done(output) as unfinished:
        array = open_memmap(unfinished, mode="w+", dtype=np.float32, shape=(num_rows, width))
        try:
            start = 0
            for _, rows in batches:
                array[start : start + len(rows)] = rows
                start += len(rows)
            array.flush()
        finally:
            # Windows neither renames nor deletes a file that is mapped.
            del array
