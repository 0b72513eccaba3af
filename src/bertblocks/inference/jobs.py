"""Whole tables through a model, streamed: memory does not grow with the rows, and their order stays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task, TaskKind, Windowing
from bertblocks.data import OnBadRow, Table, TokenIdsColumn, column_name
from bertblocks.encoder import Pooling, WindowPooling
from bertblocks.errors import ConfigError
from bertblocks.inference.job_report import JobReport, RowCounts, Say
from bertblocks.inference.predictions import Predictions, rounded
from bertblocks.inference.predictor import Predictor
from bertblocks.inference.read_ahead import read_ahead
from bertblocks.inference.result_tables import ResultKind, check_table, open_result
from bertblocks.inference.table_windows import TableWindow, table_windows
from bertblocks.inference.text_encoder import TextEncoder
from bertblocks.inference.vector_arrays import write_vectors
from bertblocks.text.workers import TokenizerWorkers

# A vector takes ten times its memory as Python numbers and text: few rows at a time become these.
_WRITTEN_VECTORS = 256

_LOG = logging.getLogger(__name__)

OnBatch = Callable[[int], None]


def predict_table(
    predictor: Predictor,
    table: Table,
    output: Path,
    *,
    on_bad_row: OnBadRow = "error",
    on_batch: OnBatch | None = None,
    say: Say = _LOG.info,
    deduplicate: bool = True,
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
        deduplicate: Whether equal texts among some thousand rows are computed once.

    Raises:
        DataError: If a column is missing or has a result's name, or a row cannot be used.
    """
    model = predictor.model
    results = _result_kinds(model.task)
    check_table(table, [column_name(column) for column in model.columns], list(results))
    for column in model.columns:
        if isinstance(column, TokenIdsColumn):
            column.check_table(table)
    _refuse_to_replace_input(table, output)
    counts = RowCounts(model.sequence_length, slides=model.token_limit is None)
    with (
        open_result(output, table, results) as writer,
        predictor.tokenizing() as encode,
        read_ahead(table_windows(table, None, model.columns, encode, on_bad_row)) as windows,
    ):
        for window in _counted(windows, counts, on_batch):
            found = predictor.predict_encoded(window.encoded, deduplicate=deduplicate)
            columns = _result_columns(model.task, found)
            spread = {name: window.spread(column) for name, column in columns.items()}
            writer.write({**window.batch.columns, **spread})
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
    deduplicate: bool = True,
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
        deduplicate: Whether equal texts among some thousand rows are computed once.

    Raises:
        DataError: If the column is missing or has the result's name, or a row cannot be used.
        ConfigError: If pooling, sequence_length or an option of windows cannot be used.
    """
    is_array = output.suffix.lower() == ".npy"
    check_table(table, [text], [] if is_array else ["vector"])
    _refuse_to_replace_input(table, output)
    encoder.check_window_pooling(windows, window_pooling)
    tokenizer = encoder.tokenizer_for(sequence_length, windows, stride)
    counts = RowCounts(tokenizer.sequence_length, slides=tokenizer.windows == "slide")
    read = [text] if is_array else None

    def vectors(of: Iterator[TableWindow]) -> Iterator[tuple[TableWindow, NDArray[np.float32]]]:
        for window in _counted(of, counts, on_batch):
            found = encoder.vectors(
                window.encoded,
                pooling or encoder.pooling,
                window_pooling=window_pooling,
                deduplicate=deduplicate,
            )
            yield window, found

    with (
        TokenizerWorkers(tokenizer, encoder.num_workers) as workers,
        read_ahead(table_windows(table, read, [text], workers.encode, on_bad_row)) as ahead,
    ):
        if is_array:
            width = encoder.config.hidden_size
            write_vectors(output, width, (_with_gaps(*found) for found in vectors(ahead)))
        else:
            with open_result(output, table, {"vector": "vector"}) as writer:
                for window, found in vectors(ahead):
                    for columns in _rows_with_vectors(window, found):
                        writer.write(columns)
    counts.tell(table, "vector", say)
    return counts.report()


def _refuse_to_replace_input(table: Table, output: Path) -> None:
    if output.resolve() == Path(table.path).resolve():
        raise ConfigError(f"The output {output} is the table that is read; give it another name.")


def _counted(
    windows: Iterator[TableWindow], counts: RowCounts, on_batch: OnBatch | None
) -> Iterator[TableWindow]:
    """Windows with rows, each counted, and told of when it has been used."""
    for window in windows:
        counts.add_problems(window.batch, window.empty)
        num_rows = len(window.batch.rows)
        if not num_rows:
            continue
        counts.add(num_rows, window.encoded)
        yield window
        if on_batch is not None:
            on_batch(num_rows)


def _with_gaps(window: TableWindow, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """A vector for every row; NaN where there is no text."""
    if len(vectors) == len(window.batch.rows):
        return vectors
    rows = np.full((len(window.batch.rows), vectors.shape[1]), np.nan, dtype=np.float32)
    rows[window.good] = vectors
    return rows


def _rows_with_vectors(
    window: TableWindow, vectors: NDArray[np.float32]
) -> Iterator[dict[str, Sequence[Any]]]:
    """The window's columns and its vectors, some rows at a time."""
    columns = {**window.batch.columns, "vector": window.spread(list(vectors))}
    for start in range(0, len(window.batch.rows), _WRITTEN_VECTORS):
        rows = slice(start, start + _WRITTEN_VECTORS)
        yield {name: values[rows] for name, values in columns.items()}


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
    shown = np.round(found.scores.astype(np.float64), 6)
    for index, label in enumerate(task.labels):
        columns[f"probability:{label}"] = shown[:, index].tolist()
    columns["num_tokens"] = found.num_tokens.tolist()
    columns["truncated"] = found.truncated.tolist()
    columns["num_unknown"] = found.num_unknown.tolist()
    return columns
