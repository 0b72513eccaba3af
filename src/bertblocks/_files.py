"""Files and folders that are there complete, or not at all.

What is being written lies in a hidden sibling until it is done, is flushed to the disk, and takes the final
name in one step: a run that is killed leaves the old state or the new one, never half of either.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, lines ending as on Unix, that replaces an existing one only when it is complete."""
    with (
        replace_when_done(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(text)


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def replace_when_done(path: str | Path) -> Iterator[Path]:
    """Give the path of a temporary sibling to write; it becomes `path` when the block ends well.

    The sibling keeps the file's ending, since some libraries choose a format by it. Missing parent folders
    are created. A symbolic link keeps pointing where it did: the file behind it is replaced.

    Raises:
        FileExistsError: If `path` is there and is not a regular file (a folder, a device).
    """
    final = Path(path).resolve()
    if final.exists() and not final.is_file():
        raise FileExistsError(f"{path} is there, but is not a file, so it cannot be replaced by one")
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden_sibling(final)
    try:
        yield temporary
        _flush_file(temporary)
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(final.parent)


@contextmanager
def replace_folder_when_done(path: str | Path) -> Iterator[Path]:
    """Give a new empty sibling folder to fill; it becomes `path` when the block ends well.

    An existing folder is moved aside, replaced, and only then deleted with all that is in it, so at every
    moment one complete folder is on the disk. A process killed between the two renames leaves the old
    folder under its aside name, from where `restore_folder` brings it back.

    Raises:
        NotADirectoryError: If `path` is there and is not a folder.
    """
    final = Path(path).resolve()
    if final.exists() and not final.is_dir():
        raise NotADirectoryError(f"{path} is there, but is not a folder, so it cannot be replaced by one")
    final.parent.mkdir(parents=True, exist_ok=True)
    restore_folder(final)
    temporary = _hidden_sibling(final)
    temporary.mkdir()
    try:
        yield temporary
        _flush_tree(temporary)
        _swap_folders(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def restore_folder(path: str | Path) -> None:
    """Undo what a process killed inside `replace_folder_when_done` may have left; otherwise do nothing.

    Call it before reading a folder that is replaced in this way.
    """
    final = Path(path).resolve()
    aside = _aside(final)
    if not aside.is_dir():
        return
    if final.exists():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.rename(final)


def _swap_folders(temporary: Path, final: Path) -> None:
    aside = _aside(final)
    replaced = final.exists()
    if replaced:
        final.rename(aside)
    try:
        temporary.rename(final)
    except BaseException:
        if replaced:
            aside.rename(final)
        raise
    _flush_folder(final.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _hidden_sibling(final: Path) -> Path:
    # tempfile.mkstemp would make the finished file readable by its owner alone.
    return final.with_name(f".{final.stem[:100]}.{secrets.token_hex(6)}.partial{final.suffix}")


def _aside(final: Path) -> Path:
    return final.with_name(f".{final.name}.replaced")


def _flush_file(path: Path) -> None:
    # Windows flushes only what is open for writing; elsewhere that would refuse read-only files.
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def _flush_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            _flush_file(path)


def _flush_folder(folder: Path) -> None:
    # A rename is durable once its folder is flushed; Windows cannot open folders, and needs no such step.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
