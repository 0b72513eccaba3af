"""A zip with an encoder in it, as Google released its checkpoints: unpacked once, and checked before."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from bertblocks._files import file_sha256, replace_folder_when_done
from bertblocks.checkpoints.listing import listed
from bertblocks.errors import CheckpointError

_MOST_FILES = 1_000
_LARGEST_BYTES = 16 << 30
# Weights shrink by a tenth, JSON and vocabularies by four fifths; a bomb by a thousandth.
_LARGEST_RATIO = 200
_SMALL = 1 << 20
_LONGEST_STEM = 60  # a name may have 255 bytes, of which the hash takes 65 and a character up to 4


def is_zip(path: Path) -> bool:
    """Whether a file is a zip by its name and its content."""
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def unpacked(path: Path) -> Path:
    """The folder that a zip holds, unpacked into the user's cache where it is not there yet.

    The cache is `$XDG_CACHE_HOME/bertblocks` (`~/.cache/bertblocks`), a folder by the zip's name and sha256.
    The name is kept because it may be all that states the casing: "uncased_L-2_H-128_A-2.zip".

    Raises:
        CheckpointError: If the zip is damaged, or holds what could do harm: nothing is written then.
    """
    try:
        folder = _cache() / f"{path.stem[:_LONGEST_STEM]}-{file_sha256(path)}"
        if not folder.is_dir():
            with zipfile.ZipFile(path) as archive, replace_folder_when_done(folder) as unfinished:
                _refuse_harm(path, archive.infolist())
                _unpack(path, archive, unfinished)
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, RuntimeError, NotImplementedError) as error:
        raise CheckpointError(f"{path} cannot be unpacked: {error}. Fetch or copy it again.") from error
    return _model_folder(folder)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "bertblocks"


def _refuse_harm(path: Path, members: list[zipfile.ZipInfo]) -> None:
    problems = [problem for member in members if (problem := _problem(member))]
    names = [PurePosixPath(member.filename) for member in members]
    if len(set(names)) != len(names):
        problems.append("several files have the same name")
    if len(members) > _MOST_FILES:
        problems.append(f"it holds {len(members):,} files, and no encoder has more than {_MOST_FILES:,}")
    if (total := sum(member.file_size for member in members)) > _LARGEST_BYTES:
        problems.append(f"it says that it unpacks to {total:,} bytes, more than {_LARGEST_BYTES:,}")
    if problems:
        raise CheckpointError(f"{path} is not unpacked: {listed(problems)}.")


def _problem(member: zipfile.ZipInfo) -> str | None:
    name = PurePosixPath(member.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in member.filename or "\0" in member.filename:
        return f"{member.filename!r} leads out of the folder"
    if stat.S_ISLNK(member.external_attr >> 16):
        return f"{member.filename!r} is a symbolic link"
    if member.flag_bits & 1:
        return f"{member.filename!r} is encrypted"
    if member.file_size > _SMALL and member.file_size > _LARGEST_RATIO * member.compress_size:
        return f"{member.filename!r} would grow from {member.compress_size:,} to {member.file_size:,} bytes"
    return None


def _unpack(path: Path, archive: zipfile.ZipFile, folder: Path) -> None:
    for member in archive.infolist():
        if member.is_dir():
            continue
        target = folder / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        if target.stat().st_size != member.file_size:
            raise CheckpointError(f"{path} is damaged: {member.filename!r} has not the size that it states.")


def _model_folder(folder: Path) -> Path:
    """Where the configuration lies: at the top, or in the one folder that has it."""
    found = {path.parent for name in ("config.json", "bert_config.json") for path in folder.rglob(name)}
    tops = [place for place in found if not any(other in place.parents for other in found)]
    if len(tops) != 1:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        raise CheckpointError(
            f"The zip unpacked in {folder} has {len(tops) or 'no'} model folders, and needs one: a folder "
            f"with config.json or bert_config.json. It holds {listed(files)}."
        )
    return tops[0]
