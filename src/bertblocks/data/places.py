"""A folder that a long job writes its files into: on this machine, or behind any of pyarrow's filesystems.

A file is there whole or not at all: on a disk it takes its name in one step, and an object store shows an
object only when it is complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from bertblocks._files import file_sha256, replace_when_done, write_text_atomically
from bertblocks.data.locations import filesystem_of, is_uri
from bertblocks.errors import DataError

_CHUNK_BYTES = 1 << 20


class Place(Protocol):
    """A folder of files; names may have one folder before them, as "_job/job.json"."""

    def names(self, folder: str = "") -> list[str]:
        """Names of the files in the place, or in a folder of it; none where there is no such folder."""

    def read_text(self, name: str) -> str | None:
        """A file's text; None where it is not there."""

    def sha256(self, name: str) -> str | None:
        """A file's sha256; None where it is not there."""

    def write_text(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""

    def put(self, name: str, write: Callable[[Path], None]) -> str:
        """Let `write` fill a file of this machine and put it there, whole or not at all.

        Returns:
            Its sha256.
        """

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


@dataclass(frozen=True, kw_only=True)
class LocalFolder:
    """A folder of this machine, or on a disk that machines share."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def names(self, folder: str = "") -> list[str]:
        """See Place."""
        inside = self.path / folder
        return sorted(path.name for path in inside.iterdir() if path.is_file()) if inside.is_dir() else []

    def read_text(self, name: str) -> str | None:
        """See Place."""
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str | None:
        """See Place."""
        try:
            return file_sha256(self.path / name)
        except FileNotFoundError:
            return None

    def write_text(self, name: str, text: str) -> None:
        """See Place."""
        write_text_atomically(self.path / name, text)

    def put(self, name: str, write: Callable[[Path], None]) -> str:
        """See Place."""
        with replace_when_done(self.path / name) as unfinished:
            write(unfinished)
            return file_sha256(unfinished)

    def remove(self, name: str) -> None:
        """See Place."""
        (self.path / name).unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class RemoteFolder:
    """A folder behind a filesystem of pyarrow's; it can be pickled.

    Attributes:
        filesystem: A pyarrow.fs.FileSystem.
        path: Of the folder, as the filesystem names it.
        uri: What a person calls it.
    """

    filesystem: Any
    path: str
    uri: str

    def __str__(self) -> str:
        return self.uri

    def names(self, folder: str = "") -> list[str]:
        """See Place."""
        from pyarrow import fs

        selector = fs.FileSelector(f"{self.path}/{folder}".rstrip("/"), allow_not_found=True)
        entries = self.filesystem.get_file_info(selector)
        return sorted(entry.base_name for entry in entries if entry.type == fs.FileType.File)

    def read_text(self, name: str) -> str | None:
        """See Place."""
        try:
            with self.filesystem.open_input_stream(f"{self.path}/{name}") as file:
                return bytes(file.read()).decode("utf-8")
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str | None:
        """See Place."""
        digest = sha256()
        try:
            with self.filesystem.open_input_stream(f"{self.path}/{name}") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def write_text(self, name: str, text: str) -> None:
        """See Place."""
        self._make_folder(name)
        with self.filesystem.open_output_stream(f"{self.path}/{name}", compression=None) as file:
            file.write(text.encode("utf-8"))

    def put(self, name: str, write: Callable[[Path], None]) -> str:
        """See Place."""
        self._make_folder(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name.rsplit("/", 1)[-1]
            write(path)
            with (
                path.open("rb") as source,
                self.filesystem.open_output_stream(f"{self.path}/{name}", compression=None) as target,
            ):
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
            return file_sha256(path)

    def remove(self, name: str) -> None:
        """See Place."""
        if name.rsplit("/", 1)[-1] in self.names(name.rpartition("/")[0]):
            self.filesystem.delete_file(f"{self.path}/{name}")

    def _make_folder(self, name: str) -> None:
        self.filesystem.create_dir(f"{self.path}/{name}".rpartition("/")[0], recursive=True)


def place_of(path: str | Path, filesystem: Any | None = None) -> LocalFolder | RemoteFolder:
    """The folder that a path stands for.

    Args:
        path: Of this machine, or a URI.
        filesystem: A pyarrow.fs.FileSystem in which it lies; None goes by the path.

    Raises:
        DataError: If the URI names no filesystem, or one that cannot be reached.
    """
    text = str(path).rstrip("/") or "/"
    if filesystem is not None:
        return RemoteFolder(filesystem=filesystem, path=text, uri=text)
    if isinstance(path, Path) or not is_uri(text):
        return LocalFolder(path=Path(path))
    found, inner = filesystem_of(text)
    if found.type_name == "local":
        return LocalFolder(path=Path(inner))
    if not inner.strip("/"):
        raise DataError(f"{path} names no folder; give one inside it.")
    return RemoteFolder(filesystem=found, path=inner, uri=text)
