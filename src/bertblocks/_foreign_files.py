"""How files of unknown origin are opened and read: bounded in size, time and memory, and never by surprise.

Only regular files are opened: a named pipe would wait for ever, a device has no end. A symbolic link may not
lead out of its folder, or a model that somebody sent could take in any file of this machine; the hub's own
cache, whose folders consist of links into `blobs`, is the exception. JSON is read strictly, since a second
key of the same name, NaN or a number of a hundred thousand digits mean different things to different readers.

What this does not defend against: a folder that is being changed by somebody else while it is read.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from bertblocks.errors import CheckpointError

CONFIGURATION_LIMIT = 16 << 20
"""Most bytes of a configuration, an index of shards or a vocabulary; the largest known have 5 MB."""

TOKENIZER_LIMIT = 80 << 20
"""Most bytes of a tokenizer.json; multilingual Unigram ones have 17 MB."""

MAX_JSON_DEPTH = 100
"""The library `tokenizers` stops at 128, and Python at about 1,000."""

# Each costs up to 100 bytes of memory; a Unigram vocabulary of a million pieces has three million.
_MAX_JSON_VALUES = 10_000_000
_MAX_DIGITS = 40
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_PACKAGE = Path(__file__).parent
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def is_there(path: Path) -> bool:
    """Whether something has this name, be it a file, a pipe or a link that leads nowhere."""
    return os.path.lexists(path)


def check_file(path: Path, *, root: Path | None = None) -> int:
    """Make sure that a path is a regular file of its folder.

    Args:
        path: The file.
        root: The folder that it must not lead out of, at or above the file's own, which is the default.

    Returns:
        Its size in bytes.

    Raises:
        CheckpointError: If it does not exist, is no regular file, or is a link that leads out of the folder.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist{_where_link_leads(path)}.") from error
    except (OSError, ValueError) as error:  # a loop of links, no permission, a NUL in the name
        raise CheckpointError(f"{path} cannot be read: {_reason(error)}.") from error
    if not stat.S_ISREG(status.st_mode):
        found = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise CheckpointError(f"{path} is {found}, expected a regular file: put the file itself there.")
    _refuse_leaving(path, path.parent if root is None else root)
    return status.st_size


def read_file(path: Path, *, limit: int, root: Path | None = None) -> bytes:
    """Read a regular file of limited size.

    Args:
        path: The file.
        limit: Most bytes; a larger file is not read at all.
        root: As for `check_file`.

    Raises:
        CheckpointError: As `check_file`; also if the file is larger, or cannot be read.
    """
    size = check_file(path, root=root)
    if size > limit:
        raise CheckpointError(
            f"{path} has {size:,} bytes, expected at most {limit:,}: this is not such a file, or is damaged. "
            "Fetch or save it again."
        )
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {_reason(error)}.") from error


def read_json_object(
    path: Path, *, limit: int = CONFIGURATION_LIMIT, root: Path | None = None
) -> dict[str, Any]:
    """Read a file that must hold one JSON object.

    Args:
        path: The file.
        limit: Most bytes.
        root: As for `check_file`.

    Raises:
        CheckpointError: As `read_file`, and as `parse_json_object`.
    """
    return parse_json_object(read_file(path, limit=limit, root=root), str(path))


def parse_json_object(content: bytes, origin: str) -> dict[str, Any]:
    """Parse the bytes of one JSON object, strictly.

    Args:
        content: UTF-8, without byte order mark.
        origin: What the bytes are, for messages.

    Raises:
        CheckpointError: If it is not UTF-8, not JSON, not an object; nested deeper than 100, or of more than
            ten million values; or has a key twice in an object, NaN, infinity, a whole number of more than 40
            digits, or half a surrogate pair.
    """
    _refuse_bulk(content, origin)
    try:
        text = content.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_whole_number
        )
    except RecursionError as error:
        raise CheckpointError(_too_deep(origin)) from error
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
        raise CheckpointError(
            f"{origin} is not JSON in UTF-8 as it should be: {error}. Fetch or save it again."
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(
            f"{origin} holds a JSON {type(value).__name__}, but must hold an object {{...}}."
        )
    if _is_deep(value):
        raise CheckpointError(_too_deep(origin))
    if _SURROGATE_ESCAPE.search(text):
        _refuse_half_pairs(value, origin)
    return value


def _refuse_leaving(path: Path, folder: Path) -> None:
    # What an installer links into the package is as trusted as the package.
    if folder.absolute().is_relative_to(_PACKAGE):
        return
    root, target = folder.resolve(), path.resolve()
    if target.is_relative_to(root) or any(target.is_relative_to(blobs) for blobs in _hub_blobs(root)):
        return
    raise CheckpointError(
        f"{path} is a symbolic link out of its folder, to {target}, which is not read for safety. If the "
        "link is meant, copy the file into the folder."
    )


def _hub_blobs(root: Path) -> list[Path]:
    """Where the hub's cache keeps the files of a folder NAME/snapshots/COMMIT: in NAME/blobs."""
    snapshots = [folder for folder in root.parents if folder.name == "snapshots"]
    return [folder.parent / "blobs" for folder in snapshots[:1]]


def _where_link_leads(path: Path) -> str:
    return f": it is a symbolic link to {path.readlink()}, which is missing" if path.is_symlink() else ""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _refuse_bulk(content: bytes, origin: str) -> None:
    if content.startswith(b"\xef\xbb\xbf"):
        raise CheckpointError(f"{origin} begins with a byte order mark: save it as UTF-8 without one.")
    if not content.strip():
        raise CheckpointError(f"{origin} is empty, expected a JSON object. Fetch or save it again.")
    num_values = content.count(b",") + content.count(b"[") + content.count(b"{")
    if num_values > _MAX_JSON_VALUES:
        raise CheckpointError(
            f"{origin} has about {num_values:,} values, expected at most {_MAX_JSON_VALUES:,}. Fetch or "
            "save it again."
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        ((double, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {double!r:.100} occurs twice in one object")
    return made


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a whole number has {len(digits):,} digits, which nothing here needs")
    return int(digits)


def _is_deep(value: dict[str, Any]) -> bool:
    level: list[Any] = [value]
    for _ in range(MAX_JSON_DEPTH):
        children = (item.values() if isinstance(item, dict) else item for item in level)
        level = [child for items in children for child in items if isinstance(child, (dict, list))]
    return bool(level)


def _too_deep(origin: str) -> str:
    return (
        f"{origin} is nested deeper than {MAX_JSON_DEPTH} objects and lists, which no configuration is. "
        "Fetch or save it again."
    )


def _refuse_half_pairs(value: dict[str, Any], origin: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CheckpointError(
            f"{origin} has half of a surrogate pair in a text (\\ud800 to \\udfff alone), which is no "
            "character. Save it again without."
        ) from error
