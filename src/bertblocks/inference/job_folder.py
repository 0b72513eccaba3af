"""The folder of a job: its parts, and what is known of each, so that a job that was killed can go on.

    part-000000-000000.parquet       rows of the first shard, there only when it is complete
    _job/job.json                    what makes it the same job
    _job/part-000000-000000.json     rows, sha256 and counts of that part; written after it
    _job/table-000000.json           that the first table has ended, and after how many rows
    _job/report.json                 written last: the job is done

Names with "_" are passed over by whatever reads the folder as one table (pyarrow, Spark, DuckDB).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from filelock import FileLock, Timeout

from bertblocks.data.places import LocalFolder, Place
from bertblocks.errors import ConfigError
from bertblocks.inference.job_identity import check_same
from bertblocks.inference.job_report import JobReport, RowCounts, Say
from bertblocks.inference.result_tables import result_schema
from bertblocks.inference.table_job import Shard, TableJob

_FOLDER = "_job"
_JOB, _REPORT = f"{_FOLDER}/job.json", f"{_FOLDER}/report.json"
_LOCK = "lock"


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """What is known of a part that is done.

    Attributes:
        shard: Whose rows it has.
        last_row: Number of the last row of its table that was read for it.
        counts: Of its rows.
    """

    shard: Shard
    last_row: int
    counts: RowCounts


@dataclass(frozen=True, kw_only=True)
class JobFolder:
    """A folder that belongs to a job; it can be pickled.

    Attributes:
        place: Where it is.
        job: The job.
        counts: Of the job's kind, with nothing counted.
        schema: The pyarrow.Schema of its parts, where they are Parquet.
    """

    place: Place
    job: TableJob
    counts: RowCounts
    schema: Any | None = None

    def part_name(self, shard: Shard) -> str:
        """The file of a shard."""
        return f"{shard.name}{self.job.ending}"

    def keep(self, shard: Shard, sha256: str, last_row: int, counts: RowCounts) -> PartRecord:
        """Note that the part of a shard is done.

        Args:
            shard: Whose rows it has.
            sha256: Of its file.
            last_row: Number of the last row of its table that was read for it.
            counts: Of its rows.
        """
        table = self.job.table_states[shard.table]
        record = {
            "part": self.part_name(shard),
            "sha256": sha256,
            "table": table,
            "first_row": shard.index * self.job.options.shard_rows + 1,
            "last_row": last_row,
            "counts": counts.to_json(),
            "model": dict(self.job.model),
            "job_sha256": self.job.sha256,
        }
        self.place.write_text(f"{_FOLDER}/{shard.name}.json", _as_text(record))
        return PartRecord(shard=shard, last_row=last_row, counts=counts)

    def end_table(self, table: int, num_rows: int) -> None:
        """Note that a table has no more rows."""
        record = {"table": self.job.table_states[table], "num_rows": num_rows}
        self.place.write_text(f"{_FOLDER}/{_table_name(table)}.json", _as_text(record))

    def finished(self, say: Say) -> dict[Shard, PartRecord]:
        """The parts that are done, in order; each is read once, to see that it is what was written."""
        records: dict[Shard, PartRecord] = {}
        damaged = []
        names = set(self.place.names())
        for name in self.place.names(_FOLDER):
            shard = Shard.of_name(name.removesuffix(".json"))
            if shard is None or self.part_name(shard) not in names:
                continue
            record = self._read(shard)
            if record is None:
                damaged.append(self.part_name(shard))
            else:
                records[shard] = record
        if damaged:
            say(f"{self.place}: not what was written, so done again: {', '.join(damaged)}.")
        return dict(sorted(records.items()))

    def _read(self, shard: Shard) -> PartRecord | None:
        """What is known of a part; None if it is not this job's, or not what was written."""
        found = _as_json(self.place.read_text(f"{_FOLDER}/{shard.name}.json"))
        try:
            counts = self.counts.from_json(found["counts"])
            last_row, sha256 = int(found["last_row"]), str(found["sha256"])
        except (KeyError, TypeError, ValueError):
            return None
        is_ours = (
            found.get("table") == self.job.table_states[shard.table]
            and found.get("model") == dict(self.job.model)
            and self.place.sha256(self.part_name(shard)) == sha256
        )
        if not is_ours:
            return None
        return PartRecord(shard=shard, last_row=last_row, counts=counts)

    def ended_tables(self, finished: dict[Shard, PartRecord]) -> list[int]:
        """Positions of the tables of which nothing is left to do."""
        ended = []
        for table in range(len(self.job.tables)):
            num_rows = _as_json(self.place.read_text(f"{_FOLDER}/{_table_name(table)}.json")).get("num_rows")
            if not isinstance(num_rows, int):
                continue
            num_shards = -(-num_rows // self.job.options.shard_rows)
            if all(Shard(table=table, index=index) in finished for index in range(num_shards)):
                ended.append(table)
        return ended

    def part_names(self) -> list[str]:
        """The files of the parts that are done, in the order of their rows."""
        noted = {Shard.of_name(name.removesuffix(".json")) for name in self.place.names(_FOLDER)}
        there = set(self.place.names())
        names = [self.part_name(shard) for shard in sorted(shard for shard in noted if shard is not None)]
        return [name for name in names if name in there]

    def finish(self, report: JobReport) -> None:
        """Note that all of the job has been done."""
        self.place.write_text(_REPORT, _as_text({"job_sha256": self.job.sha256, **asdict(report)}))

    def clear(self) -> None:
        """Remove what the job has left in the folder, its parts too."""
        # What says that something is done goes before what it says it of.
        inside = self.place.names(_FOLDER)
        for name in sorted(inside, key=lambda name: (name != "report.json", name == "job.json", name)):
            if name != _LOCK:
                self.place.remove(f"{_FOLDER}/{name}")
        for name in self.place.names():
            if Shard.of_name(name.split(".")[0]) is not None:
                self.place.remove(name)


def open_folder(place: Place, job: TableJob, counts: RowCounts, *, restart: bool, say: Say) -> JobFolder:
    """Begin the folder of a job, or make sure that what is in it belongs to this very job.

    Args:
        place: The folder, held.
        job: The job.
        counts: Of the job's kind.
        restart: Whether to begin anew where another job is found.
        say: Told of what differs without harm.

    Raises:
        ConfigError: If another job is in the folder, or something else.
    """
    folder = JobFolder(place=place, job=job, counts=counts)
    text = place.read_text(_JOB)
    if text is None:
        _refuse_foreign(place)
    elif restart:
        folder.clear()
        text = None
    if text is not None:
        record = _as_json(text)
        check_same(place, record, job, say)
        _sweep(place)
        # What is passed over from here on is passed over by all that goes on from here.
        place.write_text(_JOB, _as_text({**record, **job.identity}))
        return JobFolder(place=place, job=job, counts=counts, schema=_schema_of(record))
    schema = None
    if job.ending == ".parquet":
        schema = result_schema(job.tables, job.carried, job.result_kinds)
    stored = None if schema is None else base64.b64encode(schema.serialize().to_pybytes()).decode("ascii")
    place.write_text(_JOB, _as_text({**job.identity, "environment": dict(job.environment), "schema": stored}))
    return JobFolder(place=place, job=job, counts=counts, schema=schema)


@contextmanager
def held(place: Place) -> Iterator[None]:
    """Keep other processes of this machine out of a folder; where it is remote, nothing can.

    Raises:
        ConfigError: If another process works in it.
    """
    if not isinstance(place, LocalFolder):
        yield
        return
    lock_path = place.path / _FOLDER / _LOCK
    try:
        lock_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{place.path} cannot be made: {error.strerror}. Choose another --output."
        ) from error
    lock = FileLock(lock_path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"Another process is writing into {place.path}; wait for it, or choose another --output."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _refuse_foreign(place: Place) -> None:
    # A first try may have left parts that nothing is known of.
    others = [name for name in place.names() if Shard.of_name(name.split(".")[0]) is None]
    others = [name for name in others if not name.startswith(".")]
    if others:
        raise ConfigError(
            f"{place} has files in it that no job of bertblocks has made ({', '.join(others[:3])}); choose "
            "another --output, or an empty folder."
        )


def _sweep(place: Place) -> None:
    """Remove what killed processes had begun to write."""
    if isinstance(place, LocalFolder):
        for folder in (place.path, place.path / _FOLDER):
            for path in folder.glob(".*.partial*"):
                path.unlink(missing_ok=True)


def _schema_of(record: dict[str, Any]) -> Any | None:
    stored = record.get("schema")
    if stored is None:
        return None
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(stored)))


def _table_name(table: int) -> str:
    return f"table-{table:06}"


def _as_text(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1) + "\n"


def _as_json(text: str | None) -> dict[str, Any]:
    """A JSON object; an empty one for whatever else there is."""
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
