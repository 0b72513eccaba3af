"""A folder, a pattern or a path → the tables that it names, in an order that never changes."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertblocks.data.locations import Location, RemoteFile, filesystem_of, is_uri
from bertblocks.data.table_endings import has_known_ending
from bertblocks.errors import DataError

_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True)
class FoundTables:
    """What a folder, a pattern or a path names.

    Attributes:
        locations: The tables, by name.
        others: Files of the folder or pattern that are no tables by their ending, and are passed over.
    """

    locations: tuple[Location, ...]
    others: tuple[str, ...] = ()


def find_tables(source: str | Path, filesystem: Any | None = None) -> FoundTables:
    """Find the tables of a source.

    Args:
        source: A table; a folder, whose tables and those of the folders in it are taken, but for names that
            begin with "." or "_"; or a pattern (*, ?, [...], and ** for any folders). On this machine, or a
            URI of any of pyarrow's filesystems.
        filesystem: A pyarrow.fs.FileSystem in which the source lies; None goes by the source.

    Raises:
        DataError: If a folder or pattern has no tables, or cannot be reached.
    """
    name = str(source)
    if filesystem is not None or is_uri(name):
        found, inner = (filesystem, name) if filesystem is not None else filesystem_of(name)
        if found.type_name != "local":
            return _remote_tables(found, inner, name)
        name = inner
    path = Path(name)
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.is_file()]
        return _tables([file for file in files if _is_shown(file.relative_to(path).parts)], name)
    if path.exists() or not _WILDCARDS.search(name):
        # Who opens it says whether it is there.
        return FoundTables(locations=(path,))
    # Not Path.glob, to which a star also means hidden files.
    matches = map(Path, glob.iglob(name, recursive=True))  # noqa: PTH207
    return _tables([file for file in matches if file.is_file()], name)


def _remote_tables(filesystem: Any, path: str, source: str) -> FoundTables:
    from pyarrow import fs

    def remote(inner: str) -> RemoteFile:
        root = source[: len(source) - len(path)] if source.endswith(path) else ""
        return RemoteFile(filesystem=filesystem, path=inner, uri=root + inner)

    path = path.rstrip("/")
    wildcard = _WILDCARDS.search(path)
    base = path[: wildcard.start()].rpartition("/")[0] if wildcard else path
    try:
        if not wildcard and filesystem.get_file_info(path).type != fs.FileType.Directory:
            return FoundTables(locations=(remote(path),))
        entries = filesystem.get_file_info(fs.FileSelector(base, recursive=True))
    except OSError as error:
        raise DataError(f"{source} cannot be reached: {error}.") from error
    paths = [entry.path for entry in entries if entry.type == fs.FileType.File]
    if wildcard:
        pattern = _as_expression(path)
        paths = [found for found in paths if pattern.fullmatch(found)]
    else:
        paths = [found for found in paths if _is_shown(found[len(base) :].strip("/").split("/"))]
    return _tables([remote(found) for found in paths], source)


def _tables(files: Sequence[Location], source: str) -> FoundTables:
    tables = sorted((file for file in files if has_known_ending(file.name)), key=str)
    others = sorted(str(file) for file in files if not has_known_ending(file.name))
    if not tables:
        shown = f"; found {', '.join(others[:3])}" if others else ""
        raise DataError(f"{source} has no tables in it{shown}.")
    return FoundTables(locations=tuple(tables), others=tuple(others))


def _is_shown(parts: Sequence[str]) -> bool:
    """Whether no part of a path is hidden, as what engines leave beside their tables is."""
    return not any(part.startswith((".", "_")) for part in parts)


def _as_expression(pattern: str) -> re.Pattern[str]:
    """A pattern of paths as a regular expression, with the meaning that it has on a disk."""
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]]*\])", pattern)
    meanings = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(
            meanings.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part))
            for part in parts
        )
    )
