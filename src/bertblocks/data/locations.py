"""Where a table lies: a file of this machine, or one behind any of pyarrow's filesystems (s3://, gs://, hdfs://).

pyarrow is imported only for the latter: a CSV file on the disk should not wait for it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from bertblocks.errors import DataError

# Two letters at least: "C:" is a disk.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# Read at once over a network, where every request takes its time.
_BUFFER_BYTES = 1 << 20
# Of the beginning and of the end of a file that is to be known again.
_END_BYTES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file behind a filesystem of pyarrow's; it can be pickled.

    Attributes:
        filesystem: A pyarrow.fs.FileSystem.
        path: Of the file, as the filesystem names it.
        uri: What a person calls it.
    """

    filesystem: Any
    path: str
    uri: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def __str__(self) -> str:
        return self.uri


Location = Path | RemoteFile
"""Where a table lies."""


def is_uri(path: str) -> bool:
    """Whether a path begins with the scheme of a filesystem."""
    return _SCHEME.match(path) is not None


def location_of(path: str | Path | RemoteFile, filesystem: Any | None = None) -> Location:
    """What a path stands for.

    Args:
        path: A file of this machine, or a URI such as s3://bucket/table.parquet; file:// is this machine.
        filesystem: A pyarrow.fs.FileSystem in which the path lies; None goes by the path.

    Raises:
        DataError: If the URI names no filesystem, or one that cannot be reached.
    """
    if isinstance(path, RemoteFile):
        return path
    if filesystem is not None:
        return RemoteFile(filesystem=filesystem, path=str(path), uri=str(path))
    if isinstance(path, Path) or not is_uri(path):
        return Path(path)
    found, inner = filesystem_of(path)
    if found.type_name == "local":
        return Path(inner)
    return RemoteFile(filesystem=found, path=inner, uri=path)


def filesystem_of(uri: str) -> tuple[Any, str]:
    """The filesystem of a URI, and the path in it.

    Raises:
        DataError: If there is none of this scheme, or it cannot be reached.
    """
    import pyarrow as pa
    from pyarrow import fs

    try:
        found, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{uri} cannot be reached: {str(error).rstrip('.')}. Known are paths of this machine and what "
            "pyarrow's filesystems know: file://, s3://, gs://, hdfs:// and others."
        ) from error
    return found, path


def open_binary(location: Location) -> BinaryIO:
    """Open a file for reading at any place.

    Raises:
        OSError: If it cannot be.
    """
    if isinstance(location, Path):
        return location.open("rb")
    # Small reads, as of lines, would each be a request.
    return cast(
        "BinaryIO",
        io.BufferedReader(location.filesystem.open_input_file(location.path), buffer_size=_BUFFER_BYTES),
    )


@contextmanager
def arrow_source(location: Location) -> Iterator[Any]:
    """What pyarrow and openpyxl read a file from: its path, or the file opened."""
    if isinstance(location, Path):
        yield location
        return
    with location.filesystem.open_input_file(location.path) as file:
        yield file


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What a file is known by again, without reading all of it.

    Attributes:
        size: In bytes.
        changed_ns: When it was last written, in ns since 1970; None where the filesystem does not tell.
        ends_sha256: Of its first and last 64 KiB.
    """

    size: int
    changed_ns: int | None
    ends_sha256: str


def file_state(location: Location) -> FileState:
    """Tell what a file is known by.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        size, changed_ns = _size_and_time(location)
        with open_binary(location) as file:
            digest = hashlib.sha256(file.read(_END_BYTES))
            file.seek(max(0, size - _END_BYTES))
            digest.update(file.read(_END_BYTES))
    except OSError as error:
        raise DataError(f"{location} cannot be read: {error}.") from error
    return FileState(size=size, changed_ns=changed_ns, ends_sha256=digest.hexdigest())


Kind = Literal["file", "folder", "missing", "other"]


def kind_and_size(location: Location) -> tuple[Kind, int | None]:
    """What lies at a place, and how many bytes it has where that is known; a pipe is "other".

    Raises:
        DataError: If the filesystem cannot be reached.
    """
    if isinstance(location, Path):
        if location.is_file():
            return "file", location.stat().st_size
        return ("folder" if location.is_dir() else "other" if location.exists() else "missing"), None
    info = _info(location)
    kinds: dict[str, Kind] = {"File": "file", "Directory": "folder", "NotFound": "missing"}
    return kinds.get(info.type.name, "other"), info.size


def _size_and_time(location: Location) -> tuple[int, int | None]:
    if isinstance(location, Path):
        state = location.stat()
        return state.st_size, state.st_mtime_ns
    info = _info(location)
    return info.size or 0, info.mtime_ns


def _info(location: RemoteFile) -> Any:
    try:
        return location.filesystem.get_file_info(location.path)
    except OSError as error:
        raise DataError(f"{location} cannot be reached: {error}.") from error
