"""A job's shards done on this machine, one after another, while the next texts are read and tokenized."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path

from bertblocks._words import counted
from bertblocks.inference.job_folder import JobFolder, PartRecord
from bertblocks.inference.job_report import RowCounts, Say
from bertblocks.inference.read_ahead import read_ahead
from bertblocks.inference.shard_results import Compute, ResultRows, compute_window, write_part
from bertblocks.inference.table_job import Shard
from bertblocks.inference.table_windows import Encode, TableEnd, TableWindow, job_windows

OnBatch = Callable[[int], None]


def run_shards(
    folder: JobFolder,
    encode: Encode,
    compute: Compute,
    *,
    width: int,
    on_batch: OnBatch | None,
    say: Say,
) -> RowCounts:
    """Do what is left of a job.

    Args:
        folder: The job's.
        encode: The inputs' values → token ids.
        compute: Token ids → results.
        width: Of the vectors of an array.
        on_batch: Called with the number of rows after each window that is written.
        say: Told of parts that are done already.

    Returns:
        The counts of all rows, those of earlier tries too.
    """
    records = folder.finished(say)
    ended = folder.ended_tables(records)
    if records:
        say_going_on(records, say)
    last_rows = {shard: record.last_row for shard, record in records.items()}
    with read_ahead(job_windows(folder.job, encode, last_rows, ended)) as items:
        for key, group in groupby(items, key=_shard_or_end):
            if isinstance(key, TableEnd):
                folder.end_table(key.table, key.num_rows)
                continue
            windows = (item[1] for item in group if not isinstance(item, TableEnd))
            records[key] = _run_shard(folder, key, windows, compute, width, on_batch)
    return total_of(folder, records)


def total_of(folder: JobFolder, records: dict[Shard, PartRecord]) -> RowCounts:
    """The counts of all parts, in the order of their rows."""
    total = folder.counts.empty()
    for _, record in sorted(records.items()):
        total.add_counts(record.counts)
    return total


def say_going_on(records: dict[Shard, PartRecord], say: Say) -> None:
    """Say how much of a job is done already."""
    num_rows = sum(record.counts.report().num_rows for record in records.values())
    say(f"{counted(len(records), 'part')} with {counted(num_rows, 'row')} done before: going on from there.")


def _shard_or_end(item: tuple[Shard, TableWindow] | TableEnd) -> Shard | TableEnd:
    return item if isinstance(item, TableEnd) else item[0]


def _run_shard(
    folder: JobFolder,
    shard: Shard,
    windows: Iterable[TableWindow],
    compute: Compute,
    width: int,
    on_batch: OnBatch | None,
) -> PartRecord:
    counts = folder.counts.empty()
    last_row = 0

    def done() -> Iterator[ResultRows]:
        nonlocal last_row
        for window in windows:
            found = compute_window(window, compute, folder.job)
            yield found.rows
            found.count(counts, folder.job)
            last_row = window.last_row
            if on_batch is not None and found.rows.num_rows:
                on_batch(found.rows.num_rows)

    def write(path: Path) -> None:
        write_part(path, folder.job, folder.schema, width, done())

    sha256 = folder.place.put(folder.part_name(shard), write)
    return folder.keep(shard, sha256, last_row, counts)
