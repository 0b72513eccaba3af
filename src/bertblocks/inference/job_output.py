"""Where a job's result goes: a folder of parts, or the file that they become when all of them are there."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertblocks._files import replace_when_done
from bertblocks._words import counted
from bertblocks.data import Table
from bertblocks.data.locations import is_uri
from bertblocks.data.parquet_writer import RowGroups
from bertblocks.data.places import LocalFolder, Place, place_of
from bertblocks.data.table_endings import CSV_ENDINGS
from bertblocks.data.writers import check_writable, csv_header
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference.job_folder import JobFolder, held, open_folder
from bertblocks.inference.job_report import RowCounts, Say
from bertblocks.inference.table_job import TableJob
from bertblocks.inference.vector_arrays import join_vectors

FORMATS = ("parquet", "csv", "tsv", "jsonl", "npy")
"""Of the parts in a folder."""

_COPIED_BYTES = 1 << 20
_READ_ROWS = 4096


@dataclass(frozen=True, kw_only=True)
class JobOutput:
    """Where a job's result goes.

    Attributes:
        place: The folder of its parts.
        file: What the parts become; None where they stay.
        ending: Of the parts.
    """

    place: Place
    file: Path | None
    ending: str

    @property
    def is_packed(self) -> bool:
        """Whether the file is compressed, as parts are not."""
        return self.file is not None and self.file.name.lower().endswith(".gz")


def output_of(output: str | Path, form: str | None, filesystem: Any | None = None) -> JobOutput:
    """What an output stands for.

    Args:
        output: A folder, which is there or whose name ends in "/", or a URI; or a file.
        form: One of FORMATS, of the parts in a folder; None is Parquet.
        filesystem: A pyarrow.fs.FileSystem in which the folder lies; None goes by the output.

    Raises:
        ConfigError: If a file is given a form, which its ending tells, or the form is unknown.
    """
    name = str(output)
    if filesystem is None and not is_folder(name):
        if form is not None:
            raise ConfigError(
                f"format={form!r} has no effect on {output}, whose ending tells it; it is for a folder, "
                "whose name ends in '/'."
            )
        # A symbolic link keeps pointing where it did; the parts lie beside the file behind it.
        file = Path(name).resolve()
        ending = Path(file.name.lower().removesuffix(".gz")).suffix
        work = file.with_name(f"{file.name}.unfinished")
        return JobOutput(place=LocalFolder(path=work), file=file, ending=ending)
    if form is not None and form not in FORMATS:
        raise ConfigError(f"format is {form!r}, but must be one of {', '.join(FORMATS)}.")
    place = place_of(output if filesystem is not None or is_uri(name) else Path(name), filesystem)
    return JobOutput(place=place, file=None, ending=f".{form or 'parquet'}")


def is_folder(output: str) -> bool:
    """Whether an output is a folder for parts: by its name, or because it is there."""
    return output.endswith(("/", os.sep)) or is_uri(output) or Path(output).is_dir()


def check_output(
    output: JobOutput, told: str | Path, columns: Sequence[str], tables: Sequence[Table]
) -> None:
    """Refuse, before any work, a file that cannot be written, and a place in which the tables lie.

    Args:
        output: Where the result goes.
        told: What the caller called it.
        columns: Of the result; none of an array.
        tables: What is read.

    Raises:
        DataError: If the ending is unknown, or there is no place for the file.
        ConfigError: If the output is a table that is read, or its folder has one in it.
    """
    if output.file is not None:
        if output.ending == ".npy" and not output.is_packed:
            if output.file.exists() and not output.file.is_file():
                raise DataError(f"{told} is there, but is not a file, so no array can take its place.")
        else:
            check_writable(Path(told), columns)
    if not isinstance(output.place, LocalFolder):
        return
    folder = output.place.path.resolve()
    for table in tables:
        if not isinstance(table.path, Path):
            continue
        path = table.path.resolve()
        if path == output.file:
            raise ConfigError(f"The output {told} is the table that is read; give it another name.")
        if folder in path.parents:
            raise ConfigError(f"The output {told} is a folder with tables that are read; choose another one.")


@contextmanager
def opened(
    output: JobOutput, job: TableJob, counts: RowCounts, *, width: int, restart: bool, say: Say
) -> Iterator[JobFolder]:
    """Open the folder of a job; when the block ends well, its parts become the file, if one is wanted.

    A block that ends otherwise leaves the parts that are done, and nothing where none is.

    Args:
        output: Where the result goes.
        job: The job.
        counts: Of its kind, with nothing counted.
        width: Of the vectors of an array.
        restart: Whether to begin anew where another job is found.
        say: Told of parts that are kept.

    Raises:
        ConfigError: If another process or another job has the folder, or it is none of a job's.
    """
    with held(output.place):
        try:
            folder = open_folder(output.place, job, counts, restart=restart, say=say)
        except BaseException:
            _leave(output.place)
            raise
        try:
            yield folder
        except BaseException:
            if num_parts := len(folder.part_names()):
                say(
                    f"{counted(num_parts, 'part that is done is', 'parts that are done are')} kept in "
                    f"{output.place}; the same command goes on from there."
                )
            else:
                folder.clear()
                _leave(output.place)
            raise
        if output.file is not None:
            _join(folder, output, width)
            folder.clear()
            _leave(output.place)


def _leave(place: Place) -> None:
    """Remove the folder itself, and the lock in it, if nothing else is there."""
    if not isinstance(place, LocalFolder):
        return
    inside = place.path / "_job"
    # Windows removes no file that is open, and so leaves the folder.
    with suppress(OSError):
        if [path.name for path in inside.iterdir()] == ["lock"]:
            shutil.rmtree(inside)
        place.path.rmdir()


def _join(folder: JobFolder, output: JobOutput, width: int) -> None:
    """Make the file of all parts, in one step."""
    assert isinstance(output.place, LocalFolder) and output.file is not None
    parts = [output.place.path / name for name in folder.part_names()]
    if len(parts) == 1 and not output.is_packed:
        parts[0].replace(output.file)
        return
    with replace_when_done(output.file) as unfinished:
        if output.ending == ".npy":
            join_vectors(unfinished, width, parts)
        elif output.ending == ".parquet":
            _join_parquet(unfinished, parts, folder.schema)
        else:
            _join_text(unfinished, parts, folder.job, packed=output.is_packed)


def _join_text(target: Path, parts: Sequence[Path], job: TableJob, *, packed: bool) -> None:
    """Texts one after another, without the headers of all but the first."""
    columns = [*job.carried, *job.result_kinds]
    header = len(csv_header(columns, job.ending)) if job.ending in CSV_ENDINGS else 0
    with target.open("wb") as raw:
        # Neither a time nor a name is in it: the same texts give the same bytes.
        file: Any = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) if packed else raw
        for number, path in enumerate(parts):
            with path.open("rb") as part:
                part.seek(header if number else 0)
                shutil.copyfileobj(part, file, _COPIED_BYTES)
        if packed:
            file.close()


def _join_parquet(target: Path, parts: Sequence[Path], schema: Any) -> None:
    import pyarrow.parquet as pq

    groups = RowGroups(target, schema)
    try:
        for path in parts:
            with pq.ParquetFile(path) as part:
                for batch in part.iter_batches(batch_size=_READ_ROWS):
                    groups.add(batch)
    finally:
        groups.close()
