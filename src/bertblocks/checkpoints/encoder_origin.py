"""Where an encoder's weights come from: name, commit, licence, and the hashes of their files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertblocks._files import file_sha256
from bertblocks._foreign_files import check_file, is_there, read_file
from bertblocks.checkpoints.folders import folder_weights
from bertblocks.checkpoints.hub import NAMED_ENCODERS
from bertblocks.errors import CheckpointError

_DESCRIPTIONS = (
    "config.json",
    "bert_config.json",
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files beside the weights that decide what comes out of an encoder."""

_README_LIMIT = 4 * 1024 * 1024
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_LICENCE = re.compile(r"^license:[ \t]*(?:\n\s*-\s*)?([^\n]+)$", re.MULTILINE)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class EncoderOrigin:
    """Where an encoder's weights come from.

    Attributes:
        name: What was asked for: a name, a repository, or a folder.
        repository: On the hub; None for what was not fetched from there.
        revision: The repository's commit; None where it is not known.
        licence: As a named encoder's is known, else as the folder's README.md states it; None where neither
            says.
        weights_sha256: The sha256 of each file of weights, by its name.
    """

    name: str
    repository: str | None = None
    revision: str | None = None
    licence: str | None = None
    weights_sha256: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As bertblocks.json keeps it."""
        return {
            "name": self.name,
            "repository": self.repository,
            "revision": self.revision,
            "licence": self.licence,
            "weights_sha256": dict(self.weights_sha256),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> EncoderOrigin:
        """Read what to_json gave.

        Args:
            raw: The JSON object.

        Raises:
            CheckpointError: If it has other keys, or values of another kind.
        """
        texts = ("repository", "revision", "licence")
        hashes = raw.get("weights_sha256")
        if (
            set(raw) != {"name", "weights_sha256", *texts}
            or not isinstance(raw["name"], str)
            or not all(raw[key] is None or isinstance(raw[key], str) for key in texts)
            or not isinstance(hashes, dict)
            or not all(isinstance(value, str) for value in hashes.values())
        ):
            raise CheckpointError(
                f"encoder_origin is {dict(raw)!r:.200}, expected name, {', '.join(texts)} (texts, or null) "
                "and weights_sha256 (hashes by file)."
            )
        return cls(**raw)


def encoder_origin(source: str, folder: Path) -> EncoderOrigin:
    """Find out where an encoder's weights come from; reads each of their files once.

    Args:
        source: What was asked for.
        folder: Where it was found.

    Raises:
        CheckpointError: If a file of weights is no regular one, or leads out of the folder.
    """
    named = NAMED_ENCODERS.get(source)
    repository, revision = (named.repo_id, named.revision) if named else _hub_snapshot(folder)
    return EncoderOrigin(
        name=source,
        repository=repository,
        revision=revision,
        licence=named.licence if named else _stated_licence(folder),
        weights_sha256=_hashes(folder, folder_weights(folder)),
    )


def encoder_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file that decides what an encoder and its tokenizer give, by name.

    Raises:
        CheckpointError: If one is no regular file, or leads out of the folder.
    """
    described = [path for name in _DESCRIPTIONS if is_there(path := folder / name)]
    return _hashes(folder, (*described, *folder_weights(folder)))


def _hub_snapshot(folder: Path) -> tuple[str | None, str | None]:
    """Repository and commit, from the hub's cache: models--organisation--name/snapshots/commit."""
    parts = folder.absolute().parts
    if len(parts) < 3 or parts[-2] != "snapshots" or not _COMMIT.fullmatch(parts[-1]):
        return None, None
    _, *names = parts[-3].split("--")
    return ("/".join(names), parts[-1]) if parts[-3].startswith("models--") else (None, None)


def _stated_licence(folder: Path) -> str | None:
    """`license:` in the front matter of README.md; nothing depends on it, so a bad file states nothing."""
    try:
        text = read_file(folder / "README.md", limit=_README_LIMIT).decode(errors="replace")
    except CheckpointError:
        return None
    front = _FRONT_MATTER.search(text.replace("\r\n", "\n"))
    found = _LICENCE.search(front[1]) if front else None
    return found[1].strip().strip("'\"")[:100] or None if found else None


def _hashes(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """The sha256 of files that are read, each by its name."""
    hashes = {}
    for path in paths:
        check_file(path, root=folder)
        hashes[path.name] = file_sha256(path)
    return hashes
