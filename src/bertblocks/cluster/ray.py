"""Predicting tables with Ray Data: the same parts as on one machine, done by many.

Three stages overlap: tasks read, a few processes tokenize, and those of the actor pool hold the model and
write. What flows between them is a shard a row: its part is written by one process, whole or not at all, as
on one machine, and a job that was begun by either goes on with the other.

Ray Data has checkpoints of its own (CheckpointConfig). They note the ids of the rows that have been written:
that needs a column of ids, which are all held in memory when a job goes on; they do not know model, input and
options, and only Ray reads them. The records beside the parts do all of that, so they are used here too.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any, cast

from bertblocks.cluster.ray_session import LIGHT_CPUS, Pool, RayResources, connected, ray_package
from bertblocks.cluster.shard_stages import (
    FailedRows,
    Item,
    RowsToRead,
    WrittenShard,
    compute_shard,
    encoding_of,
    read_shards,
    record_of,
    tokenize_shard,
    write_shard,
)
from bertblocks.data import Table
from bertblocks.data.places import LocalFolder
from bertblocks.errors import BertBlocksError, ConfigError
from bertblocks.inference import SHARD_ROWS, JobReport, OnFailure, Predictor
from bertblocks.inference.job_checks import source_name
from bertblocks.inference.job_folder import JobFolder, PartRecord
from bertblocks.inference.job_output import JobOutput, check_output, opened, output_of
from bertblocks.inference.prediction_jobs import prediction_counts, prediction_job, prediction_results
from bertblocks.inference.shard_runs import say_going_on, total_of
from bertblocks.inference.table_job import JobOptions, Shard
from bertblocks.inference.table_windows import TableEnd

__all__ = ["RayResources", "predict_table"]

_LOG = logging.getLogger(__name__)
_ITEM = "item"

Say = Callable[[str], None]
Batch = dict[str, Any]


def predict_table(
    predictor: Predictor,
    table: Table | Sequence[Table],
    output: str | Path,
    *,
    resources: RayResources | None = None,
    on_bad_row: OnFailure = "error",
    on_batch: Callable[[int], None] | None = None,
    say: Say = _LOG.info,
    deduplicate: bool = True,
    columns: Sequence[str] | None = None,
    limit: int | None = None,
    format: str | None = None,
    shard_rows: int = SHARD_ROWS,
    restart: bool = False,
    filesystem: Any | None = None,
) -> JobReport:
    """Predict every row of a table, or of several, on a Ray cluster.

    Tables, output and the folder beside it must be where all machines of the cluster reach them: on a disk
    that they share, or behind one of pyarrow's filesystems. What a process holds at once is a shard. A table
    is read by one task, from its beginning: give very large ones in several files.

    Args:
        predictor: The model; it is sent to the workers.
        table: As inference.predict_table takes it, like all other arguments but resources.
        output: A file or folder.
        resources: What of a cluster is taken; None starts one worker on this machine.
        on_bad_row: What becomes of rows that cannot be used.
        on_batch: Called with the number of rows of each shard that is written.
        say: Told, in sentences, which rows have no prediction, and what was done before.
        deduplicate: Whether equal texts among some thousand rows are computed once.
        columns: The columns that are carried into the result.
        limit: Most rows that are taken.
        format: Of the parts in a folder.
        shard_rows: Rows of a shard.
        restart: Begin anew where the parts of another job lie.
        filesystem: In which the output folder lies.

    Raises:
        DataError: If a column is missing or has a result's name, or a row cannot be used.
        ConfigError: If an option cannot be, the parts of another job are in the place of this one's, or the
            cluster cannot be reached or is too small.
        MissingPackageError: If Ray is not installed.
    """
    options = JobOptions(
        columns=None if columns is None else tuple(columns),
        on_bad_row=on_bad_row,
        limit=limit,
        shard_rows=shard_rows,
        deduplicate=deduplicate,
    )
    ray_package()
    resources = resources or RayResources()
    _check_device(predictor, resources)
    place = _absolute(output_of(output, format, filesystem))
    if place.ending == ".npy":
        raise ConfigError(f"The output {output} would be an array, but predictions are a table.")
    tables = tuple(table) if isinstance(table, Sequence) else (table,)
    job = prediction_job(predictor, [_found_anywhere(one) for one in tables], options, place.ending)
    check_output(place, output, [*job.carried, *job.result_kinds], job.tables)
    counts = prediction_counts(predictor)
    with opened(place, job, counts, width=0, restart=restart, say=say) as folder:
        records = folder.finished(say)
        if records:
            say_going_on(records, say)
        if rows := _rows_to_read(folder, records):
            with connected(resources) as pool:
                for record in _run(folder, predictor, rows, pool):
                    records[record.shard] = record
                    if on_batch is not None and (num_rows := record.counts.report().num_rows):
                        on_batch(num_rows)
        total = total_of(folder, records)
        folder.finish(total.report())
    total.tell(source_name(tables), "prediction", say)
    return total.report()


def _check_device(predictor: Predictor, resources: RayResources) -> None:
    """Refuse GPUs for a model that has been prepared for this machine's processor."""
    is_plain = predictor.kernels == "plain" and predictor.precision != "int8"
    if resources.gpus_per_worker and predictor.device.type == "cpu" and not is_plain:
        raise ConfigError(
            f"gpus_per_worker is {resources.gpus_per_worker:g}, but the model was prepared for a processor, "
            f"with {predictor.kernels} kernels and in {predictor.precision}: load it with kernels='plain' "
            "and precision='bfloat16' or 'float32'."
        )


def _absolute(output: JobOutput) -> JobOutput:
    """The output as processes that work in other folders find it."""
    if not isinstance(output.place, LocalFolder):
        return output
    return replace(output, place=LocalFolder(path=output.place.path.absolute()))


def _found_anywhere(table: Table) -> Table:
    """The table as processes that work in other folders find it."""
    if not isinstance(table.path, Path) or not is_dataclass(table):
        return table
    return cast("Table", replace(table, path=table.path.absolute()))


def _rows_to_read(folder: JobFolder, records: dict[Shard, PartRecord]) -> list[RowsToRead]:
    ended = folder.ended_tables(records)
    return [
        RowsToRead(
            table=table,
            finished={shard: record.last_row for shard, record in records.items() if shard.table == table},
        )
        for table in range(len(folder.job.tables))
        if table not in ended
    ]


def _run(
    folder: JobFolder, predictor: Predictor, rows: Sequence[RowsToRead], pool: Pool
) -> Iterator[PartRecord]:
    """Let the cluster do what is left; gives the parts as they are done.

    Raises:
        BertBlocksError: What the caller can mend, as it is; or that the cluster has failed.
    """
    ray = ray_package()
    dataset = _dataset(folder, predictor, rows, pool)
    try:
        for row in dataset.iter_rows():
            item = pickle.loads(row[_ITEM])
            if isinstance(item, FailedRows):
                raise item.error
            if isinstance(item, TableEnd):
                folder.end_table(item.table, item.num_rows)
            elif isinstance(item, WrittenShard):
                yield record_of(item, folder)
    except ray.exceptions.RayError as error:
        told = str(error).strip().splitlines()
        raise BertBlocksError(
            f"The Ray cluster could not do the job: {told[-1] if told else type(error).__name__}"
        ) from error


def _dataset(folder: JobFolder, predictor: Predictor, rows: Sequence[RowsToRead], pool: Pool) -> Any:
    ray = ray_package()
    context = ray.data.DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A row is a shard already: every one is to go on by itself, as soon as it is there.
    context.target_max_block_size = 1
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # They go to the cluster once, and not with every task.
    folder_ref, predictor_ref = ray.put(folder), ray.put(predictor)
    encode_ref = ray.put(encoding_of(predictor.model))
    with ray.data.DataContext.current(context):
        items = [{_ITEM: pickle.dumps(one)} for one in rows]
        found = ray.data.from_items(items, override_num_blocks=len(items))
        # Different shares of a processor keep Ray from joining stages, which would then take turns. A worker
        # that dies is started again, and its shard is given to another: Ray Data's own way with actors.
        return (
            found.map_batches(
                _read, fn_args=[folder_ref], batch_size=1, num_cpus=LIGHT_CPUS, zero_copy_batch=True
            )
            .map_batches(
                _Tokenizing,
                fn_constructor_args=[folder_ref, encode_ref],
                batch_size=1,
                num_cpus=LIGHT_CPUS / 2,
                concurrency=pool.num_tokenizers,
            )
            .map_batches(
                _Predicting,
                fn_constructor_args=[folder_ref, predictor_ref, pool],
                batch_size=1,
                num_cpus=pool.cpus_per_worker,
                num_gpus=pool.gpus_per_worker or None,
                concurrency=pool.num_workers,
            )
        )


def _read(batch: Batch, folder: Any) -> Iterator[Batch]:
    for item in _items(batch):
        for found in read_shards(item, _here(folder).job):
            yield _as_batch(found)


class _Tokenizing:
    """Tokenizes shards; a process has the tokenizer once."""

    def __init__(self, folder: Any, encode: Any) -> None:
        # Several of them share a processor with the encoder.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self._job, self._encode = _here(folder).job, _here(encode)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        for item in _items(batch):
            yield _as_batch(tokenize_shard(item, self._job, self._encode))


class _Predicting:
    """Runs shards through the model; a process has it once."""

    def __init__(self, folder: Any, predictor: Any, pool: Pool) -> None:
        import torch

        torch.set_num_threads(pool.cpus_per_worker)
        self._num_threads = pool.cpus_per_worker
        self._folder: JobFolder = _here(folder)
        model: Predictor = _here(predictor)
        if pool.gpus_per_worker and model.device.type == "cpu":
            model = Predictor(model.model, precision=model.precision, device="cuda", in_place=True)
        self._compute = prediction_results(model, deduplicate=self._folder.job.options.deduplicate)

    def __call__(self, batch: Batch) -> Iterator[Batch]:
        import torch

        # Ray may call from another thread, which begins with a number of its own.
        torch.set_num_threads(self._num_threads)
        for item in _items(batch):
            # Writing is short beside the encoder; a process of its own would be one more that holds torch.
            yield _as_batch(write_shard(compute_shard(item, self._folder, self._compute), self._folder))


def _here(value: Any) -> Any:
    """What a reference stands for, in whichever form Ray hands it over."""
    ray = ray_package()
    return ray.get(value) if isinstance(value, ray.ObjectRef) else value


def _items(batch: Batch) -> Iterator[Item]:
    for content in batch[_ITEM]:
        yield pickle.loads(content)


def _as_batch(item: Item) -> Batch:
    return {_ITEM: [pickle.dumps(item, protocol=5)]}
