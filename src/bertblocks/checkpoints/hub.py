"""Named encoders → a local folder: ours by name, any other as "organisation/name" on the Hugging Face hub.

What the hub once sent stays in its own cache, and is used from there without a network. Named encoders are
pinned to one commit, so that the same name means the same weights for ever.
"""

from __future__ import annotations

import difflib
import importlib.resources
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.weight_files import (
    PICKLED,
    PICKLED_INDEX,
    SAFETENSORS,
    SAFETENSORS_INDEX,
    WEIGHT_FILES,
    has_weights,
)
from bertblocks.checkpoints.zip_files import is_zip, unpacked
from bertblocks.errors import CheckpointError, ConfigError

_logger = logging.getLogger(__name__)

_TOKENIZER = ["vocab.txt", "tokenizer*.json", "special_tokens_map.json", "added_tokens.json"]
_CONFIGURATION = ["config.json", "bertblocks.json", "1_Pooling/config.json", "README.md", *_TOKENIZER]
_PLAIN_WEIGHTS = [SAFETENSORS, SAFETENSORS_INDEX, "model-*.safetensors"]
_PICKLED_WEIGHTS = [PICKLED, PICKLED_INDEX, "pytorch_model-*.bin"]
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_LONGEST_REPO_ID = 96
_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class NamedEncoder:
    """An encoder that can be asked for by a name of ours.

    Attributes:
        name: What it is called here.
        repo_id: Its repository on the hub; None for what ships inside the package.
        revision: The commit that it is pinned to; None for what ships inside.
        licence: SPDX identifier of the weights' licence.
        size_bytes: What is fetched once, nearly all of it weights; 0 for what ships inside.
        num_parameters: Parameters, with the pooler where the weights have one.
        description: One line for people.
    """

    name: str
    repo_id: str | None
    revision: str | None
    licence: str
    size_bytes: int
    num_parameters: int
    description: str


NAMED_ENCODERS: Mapping[str, NamedEncoder] = {
    encoder.name: encoder
    for encoder in (
        NamedEncoder(
            name="multilingual-cased",
            repo_id="google-bert/bert-base-multilingual-cased",
            revision="3f076fdb1ab68d5b2880cb87a0886f315b8146f8",
            licence="Apache-2.0",
            size_bytes=714_290_682,
            num_parameters=177_853_440,
            description="BERT-Base, Multilingual Cased: 12 layers, 768 wide, 119,547 tokens, 104 languages",
        ),
        NamedEncoder(
            name="english-uncased",
            repo_id="google-bert/bert-base-uncased",
            revision="86b5e0934494bd15c9632b12f734a8a67f723594",
            licence="Apache-2.0",
            size_bytes=440_449_768,
            num_parameters=109_482_240,
            description="BERT-Base, Uncased: 12 layers, 768 wide, 30,522 tokens, English",
        ),
        NamedEncoder(
            name="mini",
            repo_id=None,
            revision=None,
            licence="MIT",
            size_bytes=0,
            num_parameters=82_931_712,
            description="multilingual-e5-small in 4 bits, inside the package: about 100 languages, offline",
        ),
    )
}


def resolve_encoder(source: str | os.PathLike[str], *, revision: str | None = None) -> Path:
    """Find the folder of an encoder, fetching it once if need be.

    A name of ours wins, so that no folder which happens to be called so is taken for it; then a local folder;
    then "organisation/name" on the hub. A path object, or "./mini", is only ever a folder.

    Args:
        source: A named encoder ("multilingual-cased", "english-uncased", "mini"), a folder, the zip of one
            (as Google released its checkpoints), or a repository.
        revision: A commit, tag or branch of the repository. By default a named encoder's pinned commit, and
            of any other repository what is cached, or else its newest commit.

    Returns:
        A local folder. For a cached repository it is named after its commit.

    Raises:
        CheckpointError: If there is no such folder or name, or it cannot be fetched; says what can be done.
        ConfigError: If a revision is given for something that has none.
    """
    text = source if isinstance(source, str) else None
    named = NAMED_ENCODERS.get(text or "")
    if named and named.repo_id is None:
        return _without_revision(_packaged(named), revision)
    if named and named.repo_id:
        return _from_hub(named.repo_id, revision or named.revision, asked=named.name)
    path = Path(source)
    place = _kind_of_place(path) if text != "" else None  # Path("") would be the current folder
    if place == "folder":
        return _without_revision(path, revision)
    if place == "file" and is_zip(path):
        return _without_revision(unpacked(path), revision)
    if place == "file" or text is None:
        found = "is a file" if place else "does not exist"
        raise CheckpointError(
            f"{path} {found}; an encoder is a folder with config.json and weights, or the zip of one."
        )
    if _REPO_ID.fullmatch(text) and len(text) <= _LONGEST_REPO_ID and "--" not in text and ".." not in text:
        return _from_hub(text, revision, asked=text)
    raise CheckpointError(_unknown(text))


def _kind_of_place(path: Path) -> Literal["folder", "file"] | None:
    try:
        return "folder" if path.is_dir() else "file" if path.exists() else None
    except (OSError, ValueError):  # longer than a name can be, or a NUL in it
        return None


def _without_revision(path: Path, revision: str | None) -> Path:
    if revision is not None:
        raise ConfigError(f"revision {revision!r} has no effect on {path}, a local folder; leave it out.")
    return path


def _packaged(encoder: NamedEncoder) -> Path:
    path = Path(str(importlib.resources.files("bertblocks"))) / encoder.name
    if not (path / "config.json").is_file():
        raise CheckpointError(
            f"The encoder {encoder.name!r} ships inside the package, but {path} has no config.json: the "
            "installation is damaged. Reinstall it: pip install --force-reinstall bertblocks"
        )
    return path


def _unknown(text: str) -> str:
    """Say what a source that is nothing known might have meant."""
    names = {name.lower(): name for name in NAMED_ENCODERS}
    for encoder in NAMED_ENCODERS.values():
        if encoder.repo_id:  # the hub's short names of old, such as bert-base-uncased
            names[encoder.repo_id] = names[encoder.repo_id.rpartition("/")[2]] = encoder.name
    plain = text.lower().replace("_", "-")
    close = [plain] if plain in names else difflib.get_close_matches(plain, names, n=3, cutoff=0.6)
    meant = list(dict.fromkeys(names[match] for match in close))
    hint = f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
    looks_like_path = text.startswith((".", "~")) or any(mark in text for mark in "/\\:")
    place = (
        f" As a path it would be {Path(text).absolute()}, which does not exist." if looks_like_path else ""
    )
    return (
        f"There is no encoder {text!r}.{hint}{place} Known names: {', '.join(NAMED_ENCODERS)}; or give a "
        "folder with config.json and weights, or a hub repository as organisation/name."
    )


def _from_hub(repo_id: str, revision: str | None, *, asked: str) -> Path:
    """Take a repository from the hub's cache, or else fetch it into the cache."""
    cached = _cached(repo_id, revision)
    if cached is not None and _has_vocabulary(cached):
        return cached
    try:
        with _quiet_unless_terminal():
            fetched = _fetch(repo_id, revision)
    except CheckpointError:
        raise
    except Exception as error:  # the hub has used three HTTP libraries; their errors have no base in common
        if cached is not None:
            _logger.info("%s is used from the cache, without a vocabulary: %s", repo_id, error)
            return cached
        raise CheckpointError(_cannot_fetch(repo_id, revision, asked, _reason(error))) from error
    _logger.info("%s is used at commit %s", repo_id, fetched.name)
    return fetched


def _cached(repo_id: str, revision: str | None) -> Path | None:
    """The cached folder, if it is complete enough to be used."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        # config.json alone: the hub counts a folder that lacks any file asked for as not cached
        folder = snapshot_download(
            repo_id, revision=revision, local_files_only=True, allow_patterns=["config.json"]
        )
    except LocalEntryNotFoundError:
        return None
    return Path(folder) if _is_model(Path(folder)) else None


def _fetch(repo_id: str, revision: str | None) -> Path:
    """Download configuration, tokenizer and weights; a pickle only where there is nothing better."""
    from huggingface_hub import HfApi, snapshot_download

    # Asked first: without a connection this fails at once, while a download tries again for half a minute.
    info = HfApi().model_info(repo_id, revision=revision, timeout=_TIMEOUT_S)
    files = {sibling.rfilename for sibling in info.siblings or ()}
    if "config.json" not in files or files.isdisjoint(WEIGHT_FILES):
        raise CheckpointError(
            f"{repo_id} on the hub is no model that can be read: it needs config.json and one of "
            f"{', '.join(WEIGHT_FILES)}, and has {listed(sorted(files))}."
        )
    weights = _PICKLED_WEIGHTS if files.isdisjoint((SAFETENSORS, SAFETENSORS_INDEX)) else _PLAIN_WEIGHTS
    folder = Path(snapshot_download(repo_id, revision=revision, allow_patterns=[*_CONFIGURATION, *weights]))
    if not _is_model(folder):
        raise ConnectionError("only a part of the files arrived")
    return folder


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() and has_weights(folder)


def _has_vocabulary(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt"))


@contextmanager
def _quiet_unless_terminal() -> Iterator[None]:
    """Keep the hub's progress bars out of logs; on a terminal they stay."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    silence = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if silence:
        disable_progress_bars()
    try:
        yield
    finally:
        if silence:
            enable_progress_bars()


def _reason(error: Exception) -> str:
    """Why a download failed, for somebody who does not know the hub's exceptions."""
    from huggingface_hub import constants, errors

    if constants.HF_HUB_OFFLINE:
        return "offline mode is on (the environment sets HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE)"
    if isinstance(error, errors.GatedRepoError):
        return "its owner asks for consent: accept the terms on its page, then run `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the hub has the repository, but not this revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the hub has no such repository, or it is private (then run `hf auth login`)"
    if isinstance(error, errors.LocalEntryNotFoundError) or "Connect" in type(error).__name__:
        return "the hub cannot be reached"
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _cannot_fetch(repo_id: str, revision: str | None, asked: str, reason: str) -> str:
    from huggingface_hub import constants

    named = NAMED_ENCODERS.get(asked)
    title = f"The encoder {asked!r}" + (f" ({repo_id})" if asked != repo_id else "")
    not_path = "" if named else f" Neither is there a folder {Path(asked).absolute()}."
    size = f" ({named.size_bytes / 1e6:,.0f} MB, once)" if named else ""
    tree = f"{constants.ENDPOINT}/{repo_id}/tree/{revision or constants.DEFAULT_REVISION}"
    return (
        f"{title} is not in the cache {constants.HF_HUB_CACHE} and cannot be fetched: "
        f"{reason}.{not_path} Do one of:\n"
        f"  - run again with a connection to the hub{size};\n"
        f"  - on another machine fetch config.json, {SAFETENSORS}, vocab.txt, tokenizer.json and\n"
        f"    tokenizer_config.json (those that exist) from {tree}\n"
        "    into a folder, bring it here, and name the folder: --encoder FOLDER;\n"
        "  - use --encoder mini, which ships inside the package and needs no network."
    )
