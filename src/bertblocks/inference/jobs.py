"""Whole tables through a model, streamed and in shards.

Memory does not grow with the rows, their order stays, and a job that is killed goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bertblocks.blocks import Windowing
from bertblocks.data import Table
from bertblocks.encoder import Pooling, WindowPooling
from bertblocks.errors import ConfigError
from bertblocks.inference.job_checks import checked, environment_of, source_name
from bertblocks.inference.job_output import check_output, opened, output_of
from bertblocks.inference.job_report import JobReport, RowCounts, Say
from bertblocks.inference.prediction_jobs import prediction_counts, prediction_job, prediction_results
from bertblocks.inference.predictor import Predictor
from bertblocks.inference.shard_results import Results
from bertblocks.inference.shard_runs import OnBatch, run_shards
from bertblocks.inference.table_job import SHARD_ROWS, JobOptions, OnFailure, TableJob
from bertblocks.inference.text_encoder import TextEncoder
from bertblocks.text import Encoded
from bertblocks.text.workers import TokenizerWorkers

_LOG = logging.getLogger(__name__)

Tables = Table | Sequence[Table]
"""A table, or several with the same columns, one after another."""


def predict_table(
    predictor: Predictor,
    table: Tables,
    output: str | Path,
    *,
    on_bad_row: OnFailure = "error",
    on_batch: OnBatch | None = None,
    say: Say = _LOG.info,
    deduplicate: bool = True,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    format: str | None = None,
    shard_rows: int = SHARD_ROWS,
    restart: bool = False,
    filesystem: Any | None = None,
) -> JobReport:
    """Predict every row of a table, or of several, and write it with the predictions beside its columns.

    Rows are done in shards, each of which becomes a part that is there whole or not at all. Killed at any
    moment and called again, it does only the shards that are not done, and ends with the same bytes.

    Args:
        predictor: The model.
        table: Has the columns that the model's graph names.
        output: A file, CSV, TSV, JSON Lines or Parquet by its ending, there only when it is complete: until
            then parts lie in a folder beside it, `<output>.unfinished`. Or a folder for the parts, which is
            there or whose name ends in "/", also a URI.
        on_bad_row: "skip" leaves the results of rows without a usable text or list empty, and drops
            unreadable rows; "column" keeps all rows, and says in a column "error" what is wrong.
        on_batch: Called with the number of rows after each batch.
        say: Told, in sentences, which rows have no prediction, and what was done before.
        deduplicate: Whether equal texts among some thousand rows are computed once.
        columns: The table's columns that stand beside the predictions; None is all.
        limit: Most rows that are taken.
        format: Of the parts in a folder: parquet (the default), csv, tsv or jsonl.
        shard_rows: Rows of a shard.
        restart: Begin anew where the parts of another job lie.
        filesystem: A pyarrow.fs.FileSystem in which the output folder lies; None goes by the output.

    Raises:
        DataError: If a column is missing or has a result's name, or a row cannot be used.
        ConfigError: If an option cannot be, or the parts of another job are in the place of this one's.
    """
    options = JobOptions(
        columns=None if columns is None else tuple(columns),
        on_bad_row=on_bad_row,
        limit=limit,
        shard_rows=shard_rows,
        deduplicate=deduplicate,
    )
    place = output_of(output, format, filesystem)
    if place.ending == ".npy":
        raise ConfigError(
            f"The output {output} would be an array, but predictions are a table: take csv, tsv, jsonl or "
            "parquet."
        )
    job = prediction_job(predictor, _as_tables(table), options, place.ending)
    check_output(place, output, [*job.carried, *job.result_kinds], job.tables)
    counts = prediction_counts(predictor)
    with opened(place, job, counts, width=0, restart=restart, say=say) as folder:
        with predictor.tokenizing() as encode:
            total = run_shards(
                folder,
                encode,
                prediction_results(predictor, deduplicate=deduplicate),
                width=0,
                on_batch=on_batch,
                say=say,
            )
        folder.finish(total.report())
    total.tell(source_name(job.tables), "prediction", say)
    return total.report()


def embed_table(
    encoder: TextEncoder,
    table: Tables,
    output: str | Path,
    *,
    text: str,
    pooling: Pooling | None = None,
    sequence_length: int | None = None,
    windows: Windowing | None = None,
    stride: int | None = None,
    window_pooling: WindowPooling | None = None,
    on_bad_row: OnFailure = "error",
    on_batch: OnBatch | None = None,
    say: Say = _LOG.info,
    deduplicate: bool = True,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    format: str | None = None,
    shard_rows: int = SHARD_ROWS,
    restart: bool = False,
    filesystem: Any | None = None,
) -> JobReport:
    """Write every row's vector: as an array (.npy, one row each), or as a column of lists beside the others.

    It is done in shards, and goes on after a kill, as predict_table.

    Args:
        encoder: Gives the vectors.
        table: Has the text column.
        output: .npy, or a table's ending; or a folder, as for predict_table.
        text: Column of texts.
        pooling: How token vectors become one; None is the encoder's own way.
        sequence_length: Most tokens of a text or window; this and the next three as TextEncoder.encode takes
            them.
        windows: Whether longer texts are cut, or read in windows.
        stride: Tokens from one window to the next.
        window_pooling: How the vectors of a text's windows become one.
        on_bad_row: "skip" leaves the vectors of rows without a text empty (NaN in .npy), and drops rows that
            cannot be read; "column", of tables only, keeps all rows and says what is wrong.
        on_batch: Called with the number of rows after each batch.
        say: Told, in sentences, which rows have no vector.
        deduplicate: Whether equal texts among some thousand rows are computed once.
        columns: As for predict_table, like all that follow; an array has none.
        limit: Most rows that are taken.
        format: Of the parts in a folder: also npy.
        shard_rows: Rows of a shard.
        restart: Begin anew where the parts of another job lie.
        filesystem: In which the output folder lies.

    Raises:
        DataError: If the column is missing or has the result's name, or a row cannot be used.
        ConfigError: If pooling, sequence_length or an option of windows or of the job cannot be used.
    """
    options = JobOptions(
        columns=None if columns is None else tuple(columns),
        on_bad_row=on_bad_row,
        limit=limit,
        shard_rows=shard_rows,
        deduplicate=deduplicate,
    )
    place = output_of(output, format, filesystem)
    if place.ending == ".npy":
        _check_array_options(output, options)
    chosen = pooling or encoder.pooling
    encoder.check_window_pooling(windows, window_pooling)
    tokenizer = encoder.tokenizer_for(sequence_length, windows, stride)
    counts = RowCounts(tokenizer.sequence_length, slides=tokenizer.windows == "slide")
    job = checked(
        TableJob(
            what="embed",
            tables=_as_tables(table),
            inputs=(text,),
            results={"vector": "vector"},
            options=options,
            ending=place.ending,
            model={
                "sha256": encoder.sha256,
                "precision": encoder.precision,
                "pooling": chosen,
                "sequence_length": tokenizer.sequence_length,
                "windows": tokenizer.windows,
                "stride": tokenizer.stride if tokenizer.windows == "slide" else None,
                "window_pooling": window_pooling or encoder.window_pooling,
            },
            environment=environment_of(encoder.kernels, encoder.device),
        )
    )
    check_output(place, output, [*job.carried, *job.result_kinds], job.tables)
    width = encoder.config.hidden_size

    def compute(encoded: Encoded) -> Results:
        vectors = encoder.vectors(encoded, chosen, window_pooling=window_pooling, deduplicate=deduplicate)
        is_finite = np.atleast_1d(np.isfinite(vectors).all(axis=1))
        return Results(columns={"vector": list(vectors)}, is_finite=is_finite.tolist())

    with opened(place, job, counts, width=width, restart=restart, say=say) as folder:
        with TokenizerWorkers(tokenizer, encoder.num_workers) as workers:
            total = run_shards(folder, workers.encode, compute, width=width, on_batch=on_batch, say=say)
        folder.finish(total.report())
    total.tell(source_name(job.tables), "vector", say)
    return total.report()


def _as_tables(table: Tables) -> tuple[Table, ...]:
    tables = tuple(table) if isinstance(table, Sequence) else (table,)
    if not tables:
        raise ConfigError("There are no tables to read.")
    return tables


def _check_array_options(output: str | Path, options: JobOptions) -> None:
    problems = []
    if options.columns is not None:
        problems.append("columns has no effect, for no columns stand beside vectors")
    if options.on_bad_row == "column":
        problems.append("on_bad_row='column' has no effect, for there is no column for errors: take 'skip'")
    if problems:
        raise ConfigError(f"The output {output} is an array: {'; '.join(problems)}.")
