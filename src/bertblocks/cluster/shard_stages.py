"""The stages that a shard goes through, each of which any engine can run in a process of its own.

    rows to read → ReadShard → TokenizedShard → ComputedShard → written, WrittenShard

What goes from stage to stage can be pickled. An error of the caller's goes through all of them as FailedRows,
so that who started them can raise it as it is. Nothing of Ray is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from bertblocks.assembly import AssembledModel
from bertblocks.data import TableBatch, encode_token_ids
from bertblocks.errors import BertBlocksError
from bertblocks.inference.job_folder import JobFolder, PartRecord
from bertblocks.inference.shard_results import Compute, ResultRows, compute_window, write_part
from bertblocks.inference.table_job import Shard, TableJob
from bertblocks.inference.table_windows import (
    Encode,
    TableEnd,
    TableWindow,
    last_row,
    table_batches,
    window_of,
)
from bertblocks.text import Encoded


@dataclass(frozen=True, kw_only=True)
class RowsToRead:
    """What one reading task does: what is left of a table.

    Attributes:
        table: Its position in the job.
        finished: Its shards that are done, each with the number of its last row.
    """

    table: int
    finished: Mapping[Shard, int]


@dataclass(frozen=True, kw_only=True)
class ReadShard:
    """A shard's rows."""

    shard: Shard
    batches: list[TableBatch]


@dataclass(frozen=True, kw_only=True)
class TokenizedShard:
    """A shard's rows with their token ids."""

    shard: Shard
    windows: list[TableWindow]


@dataclass(frozen=True, kw_only=True)
class ComputedShard:
    """What is written of a shard, and what was counted of it.

    Attributes:
        shard: Which one.
        last_row: Number of its last row in its table.
        rows: What is written.
        counts: As RowCounts.to_json gives them.
    """

    shard: Shard
    last_row: int
    rows: list[ResultRows]
    counts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class WrittenShard:
    """A shard whose part is there."""

    shard: Shard
    last_row: int
    counts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FailedRows:
    """An error of the caller's on its way to him."""

    error: BertBlocksError


Item = RowsToRead | ReadShard | TokenizedShard | ComputedShard | WrittenShard | TableEnd | FailedRows


def read_shards(item: Item, job: TableJob) -> Iterator[Item]:
    """Read a table shard by shard; then tell that it has ended."""
    assert isinstance(item, RowsToRead)
    try:
        found = table_batches(job, item.table, item.finished)
        for key, group in groupby(found, key=lambda each: each if isinstance(each, TableEnd) else each[0]):
            if isinstance(key, TableEnd):
                yield key
            else:
                batches = [each[1] for each in group if not isinstance(each, TableEnd)]
                yield ReadShard(shard=_shard(key), batches=batches)
    except BertBlocksError as error:
        yield FailedRows(error=error)


def tokenize_shard(item: Item, job: TableJob, encode: Encode) -> Item:
    """Check and tokenize a shard's rows."""
    if not isinstance(item, ReadShard):
        return item
    try:
        windows = [window_of(job, item.shard.table, batch, encode) for batch in item.batches]
    except BertBlocksError as error:
        return FailedRows(error=error)
    return TokenizedShard(shard=item.shard, windows=windows)


def compute_shard(item: Item, folder: JobFolder, compute: Compute) -> Item:
    """Run a shard through the model."""
    if not isinstance(item, TokenizedShard):
        return item
    counts = folder.counts.empty()
    rows = []
    try:
        for window in item.windows:
            done = compute_window(window, compute, folder.job)
            done.count(counts, folder.job)
            rows.append(done.rows)
    except BertBlocksError as error:
        return FailedRows(error=error)
    last = last_row(item.windows[-1].batch)
    return ComputedShard(shard=item.shard, last_row=last, rows=rows, counts=counts.to_json())


def write_shard(item: Item, folder: JobFolder) -> Item:
    """Write a shard's part and what is known of it."""
    if not isinstance(item, ComputedShard):
        return item
    rows = item.rows

    def write(path: Path) -> None:
        write_part(path, folder.job, folder.schema, 0, rows)

    try:
        sha256 = folder.place.put(folder.part_name(item.shard), write)
    except BertBlocksError as error:
        return FailedRows(error=error)
    folder.keep(item.shard, sha256, item.last_row, folder.counts.from_json(item.counts))
    return WrittenShard(shard=item.shard, last_row=item.last_row, counts=item.counts)


def record_of(item: WrittenShard, folder: JobFolder) -> PartRecord:
    """What is known of a part, as JobFolder.finished would give it."""
    counts = folder.counts.from_json(item.counts)
    return PartRecord(shard=item.shard, last_row=item.last_row, counts=counts)


def encoding_of(model: AssembledModel) -> Callable[..., Encoded]:
    """What encodes as model.encode does, without the model's weights."""
    if model.tokenizer is not None:
        return model.tokenizer.encode
    return partial(encode_token_ids, vocabulary_size=model.module.encoder.config.vocab_size)


def _shard(key: Any) -> Shard:
    assert isinstance(key, Shard)
    return key
