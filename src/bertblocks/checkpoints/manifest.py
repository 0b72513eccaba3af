"""bertblocks.json: what a model folder holds, which version wrote it, and the hash of every file.

What a later version of bertblocks writes is read as long as it uses nothing new: options at their default are
left out. What this version does not know is never skipped, since it may change predictions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any

from bertblocks._files import file_sha256, write_text_atomically
from bertblocks._foreign_files import check_file, is_there, read_json_object
from bertblocks._version import __version__
from bertblocks.blocks import Graph, Task
from bertblocks.checkpoints.encoder_origin import EncoderOrigin
from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.pooling_file import POOLING_FILE
from bertblocks.checkpoints.weight_files import WEIGHT_FILES
from bertblocks.errors import CheckpointError, ConfigError, GraphError

MANIFEST = "bertblocks.json"
HEAD_FILE = "head.safetensors"
FORMAT_VERSION = 1
_READ_FILES = (
    "config.json",
    *WEIGHT_FILES,
    HEAD_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    POOLING_FILE,
)
"""What decides about predictions where it is there: one that is put there later must not pass unnoticed."""
_KEYS: Mapping[str, type | UnionType] = {
    "format_version": int,
    "bertblocks_version": str,
    "graph": dict,
    "task": dict,
    "casing": str | None,
    "activation": str,
    "origin": str,
    "files": dict,
}
_OPTIONAL_KEYS: Mapping[str, type | UnionType] = {"encoder_origin": dict | None}
_RELEASE = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,9}(?!\d)")


def is_saved_model(folder: Path) -> bool:
    """Whether a folder is one of ours, and finished."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read bertblocks.json, without the weights.

    Raises:
        CheckpointError: If it is missing, is not JSON, has unknown or missing keys, or is of a newer format.
    """
    path = folder / MANIFEST
    if not is_there(path):
        raise CheckpointError(_why_unfinished(folder))
    manifest = read_json_object(path)
    version = manifest.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {version}, and this bertblocks reads up to {FORMAT_VERSION}: update "
            "bertblocks."
        )
    problems = []
    if unknown := sorted(set(manifest) - {*_KEYS, *_OPTIONAL_KEYS}):
        problems.append(f"has the unknown keys {unknown!s:.500}")
    if missing := sorted(set(_KEYS) - set(manifest)):
        problems.append(f"lacks the keys {missing}")
    if version != FORMAT_VERSION:
        problems.append(f"has format version {version!r:.50}, which there never was")
    problems += [
        f"has {key} = {manifest[key]!r:.100}, which is of the wrong type"
        for key, kind in {**_KEYS, **_OPTIONAL_KEYS}.items()
        if key in manifest and not isinstance(manifest[key], kind)
    ]
    if manifest.get("casing") not in ("cased", "uncased", None):
        problems.append(f"has casing = {manifest['casing']!r:.100}, expected cased, uncased or null")
    if problems:
        raise _unreadable(folder, manifest, f"it {'; it '.join(problems)}")
    return manifest


def read_description(folder: Path, manifest: Mapping[str, Any]) -> tuple[Graph, Task]:
    """The graph and the task that a folder's manifest describes.

    Raises:
        CheckpointError: If it describes none, or one that only a newer bertblocks knows.
    """
    try:
        return Graph.from_json(manifest["graph"]), Task.from_json(manifest["task"])
    except (GraphError, ConfigError) as error:
        problem = f"it does not describe a model: {str(error).rstrip('.')}"
        raise _unreadable(folder, manifest, problem) from error


def read_encoder_origin(folder: Path, manifest: Mapping[str, Any]) -> EncoderOrigin | None:
    """Where a model's encoder began, as its manifest says; None where it does not say.

    Raises:
        CheckpointError: If it is not what save() wrote.
    """
    raw = manifest.get("encoder_origin")
    try:
        return None if raw is None else EncoderOrigin.from_json(raw)
    except CheckpointError as error:
        raise _unreadable(folder, manifest, str(error).rstrip(".")) from error


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write bertblocks.json over every file that lies in the folder; it is the last to be written.

    Args:
        folder: The model's.
        content: The keys that describe the model; those without a value that may be left out are.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    manifest = {
        "format_version": FORMAT_VERSION,
        **{key: value for key, value in content.items() if value is not None or key in _KEYS},
        "files": {path.relative_to(folder).as_posix(): file_sha256(path) for path in files},
    }
    write_text_atomically(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def hashes_checked(folder: Path, files: Mapping[str, Any]) -> Iterator[None]:
    """Check a folder's files beside what is done with them, which takes about as long.

    Args:
        folder: The model's.
        files: As the manifest names them.

    Raises:
        CheckpointError: At the end of the block, as check_hashes; also in place of an error of the block's,
            which a changed file explains.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        checked = thread.submit(check_hashes, folder, files)
        try:
            yield
        except Exception:
            checked.result()
            raise
        checked.result()


def check_hashes(folder: Path, files: Mapping[str, Any]) -> None:
    """Compare a folder's files with the hashes of its manifest.

    Raises:
        CheckpointError: If files are missing, changed, no regular ones or added; all of them at once.
    """
    problems = [f"{name!r:.100} is no file of the folder" for name in files if not _is_inside(name)]
    for name, expected in files.items():
        if not _is_inside(name):
            continue
        try:
            check_file(folder / name, root=folder)
        except CheckpointError as error:
            problems.append(f"{name} is missing" if not is_there(folder / name) else str(error).rstrip("."))
            continue
        if file_sha256(folder / name) != expected:
            problems.append(f"{name} is not the file that was saved (its sha256 differs)")
    added = [name for name in _READ_FILES if is_there(folder / name) and name not in files]
    problems += [f"{name} was not saved with the model, but would be read: remove it" for name in added]
    if problems:
        told = listed(problems, separator="; ")
        raise CheckpointError(f"{folder} has been changed: {told}. Save or copy it again.")


def _unreadable(folder: Path, manifest: Mapping[str, Any], problem: str) -> CheckpointError:
    """The refusal of what a manifest says, which a newer bertblocks may well understand."""
    written_by = manifest.get("bertblocks_version")
    if _release(written_by) > _release(__version__):
        return CheckpointError(
            f"{folder / MANIFEST} was written by bertblocks {written_by:.50}, and this is {__version__}, "
            f"which cannot read it: {problem}. Update bertblocks (pip install --upgrade bertblocks)."
        )
    return CheckpointError(f"{folder / MANIFEST} cannot be read: {problem}. Save or copy the model again.")


def _release(version: Any) -> tuple[int, ...]:
    """The numbers of a version, without what follows them ("dev0", "rc1"); empty for anything else."""
    found = _RELEASE.match(version) if isinstance(version, str) else None
    return tuple(map(int, found[0].split("."))) if found else ()


def _why_unfinished(folder: Path) -> str:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        return f"{folder} {found}; a model is a folder that save() or `bertblocks train` wrote."
    return (
        f"{folder} has no {MANIFEST}: it is not a bertblocks model, or its training has not finished (finish "
        "it with `bertblocks train ... --resume`)."
    )


def _is_inside(name: str) -> bool:
    """Whether a manifest's name is a plain relative path, on every system."""
    parts = name.split("/")
    return "\0" not in name and not any(
        part in ("", ".", "..") or "\\" in part or ":" in part for part in parts
    )
