"""Our own model folder: a Hugging Face folder plus `bertblocks.json`.

    config.json, model.safetensors       …ForSequenceClassification where the graph is one, else …Model
    tokenizer.json, tokenizer_config.json, vocab.txt      not where token ids go in
    head.safetensors                     dense layers that Hugging Face's class cannot hold
    bertblocks.json                      graph, task, and the sha256 of every file above; written last

A folder without bertblocks.json is unfinished; one whose files do not have their hashes is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

from torch import Tensor

from bertblocks._files import file_sha256, write_text_atomically
from bertblocks._foreign_files import check_file, is_there, read_json_object
from bertblocks.blocks import BertPooler, Dense, GlobalAveragePooling1D, Graph, PoolingName, Task
from bertblocks.checkpoints.classification_head import (
    head_config,
    join_head,
    opens_as_sequence_classification,
    split_head,
)
from bertblocks.checkpoints.encoder_origin import EncoderOrigin
from bertblocks.checkpoints.folders import read_checkpoint
from bertblocks.checkpoints.huggingface import write_checkpoint
from bertblocks.checkpoints.listing import listed
from bertblocks.checkpoints.pooling_file import POOLING_FILE, write_pooling
from bertblocks.checkpoints.storage import read_tensors, write_tensors
from bertblocks.checkpoints.weight_files import WEIGHT_FILES
from bertblocks.encoder import EncoderConfig
from bertblocks.errors import CheckpointError, ConfigError, GraphError

MANIFEST = "bertblocks.json"
FORMAT_VERSION = 1
_HEAD_FILE = "head.safetensors"
_READ_FILES = (
    "config.json",
    *WEIGHT_FILES,
    _HEAD_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    POOLING_FILE,
)
"""What decides about predictions where it is there: one that is put there later must not pass unnoticed."""
_MANIFEST_KEYS: Mapping[str, type | UnionType] = {
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


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedModel:
    """What a model folder holds.

    Attributes:
        graph: The blocks; weights and vocabulary name where they came from, and lie in the folder.
        task: What is predicted.
        config: The encoder's shape.
        encoder: The encoder's tensors under our names.
        head: The head's tensors, named as in build_head's module ("0.weight", "2.bias").
        casing: Of the vocabulary: "cased", "uncased", or None where it is not known.
        origin: Which encoder the weights began as.
        encoder_origin: The same with commit, licence and hashes; None where they were drawn at random, or the
            model was saved before this was kept.
    """

    graph: Graph
    task: Task
    config: EncoderConfig
    encoder: Mapping[str, Tensor]
    head: Mapping[str, Tensor]
    casing: str | None
    origin: str
    encoder_origin: EncoderOrigin | None = None


def is_saved_model(folder: Path) -> bool:
    """Whether a folder is one of ours, and finished."""
    return (folder / MANIFEST).is_file()


def write_saved_model(
    folder: Path, model: SavedModel, *, version: str, pad_token_id: int | None = None
) -> None:
    """Write weights, configuration, head and, last, bertblocks.json into a folder.

    Args:
        folder: An existing folder that holds the tokenizer's files, so that they are hashed too.
        model: What to write.
        version: Of bertblocks.
        pad_token_id: For transformers, which never trains the embedding of this id: without it that would be
            id 0, in some vocabularies the first token's.
    """
    extra_config = {"pad_token_id": pad_token_id}
    if opens_as_sequence_classification(model.graph):
        pooler, head = split_head(model.graph, model.head, model.config.family)
        write_checkpoint(
            folder,
            config=model.config,
            encoder=model.encoder,
            pooler=pooler,
            head=head,
            extra_config={**extra_config, **head_config(model.graph, model.task, model.config.family)},
            with_prefix=True,
        )
    else:
        write_checkpoint(
            folder, config=model.config, encoder=model.encoder, pooler=None, extra_config=extra_config
        )
        write_tensors(folder / _HEAD_FILE, model.head)
        if model.graph.tokenizer is not None:
            _write_sentence_transformers(folder, model.graph, model.config)
    _write_manifest(folder, model, version)


def read_saved_model(folder: Path) -> SavedModel:
    """Read a model folder, its files checked against their hashes.

    Raises:
        CheckpointError: If the folder is unfinished, changed, or of an unknown format.
    """
    manifest = read_manifest(folder)
    _check_hashes(folder, manifest["files"])
    try:
        graph, task = Graph.from_json(manifest["graph"]), Task.from_json(manifest["task"])
    except (GraphError, ConfigError) as error:
        raise CheckpointError(f"{folder / MANIFEST} does not describe a model: {error}") from error
    checkpoint = read_checkpoint(folder, keep_heads=True)
    if opens_as_sequence_classification(graph):
        head = join_head(graph, checkpoint)
    else:
        head = read_tensors(folder / _HEAD_FILE)
    _check_head(head, graph, checkpoint.config.hidden_size, folder)
    return SavedModel(
        graph=graph,
        task=task,
        config=checkpoint.config,
        encoder=checkpoint.encoder,
        head=head,
        casing=manifest["casing"],
        origin=manifest["origin"],
        encoder_origin=read_encoder_origin(folder, manifest),
    )


def _check_head(head: Mapping[str, Tensor], graph: Graph, width: int, folder: Path) -> None:
    """Compare with what the graph asks for before it is built: a graph may ask for any number of units."""
    expected: dict[str, tuple[int, ...]] = {}
    for index, block in enumerate(graph.head):
        if isinstance(block, BertPooler | Dense):
            units = block.units if isinstance(block, Dense) else width
            expected |= {f"{index}.weight": (units, width), f"{index}.bias": (units,)}
            width = units
    found = {name: tuple(tensor.shape) for name, tensor in head.items()}
    if found != expected:
        raise CheckpointError(
            f"{folder}: the head's tensors do not fit its graph: found {found}, expected {expected}. Save or "
            "copy it again."
        )
    bad = [name for name, x in head.items() if not x.is_floating_point() or not bool(x.isfinite().all())]
    if bad:
        raise CheckpointError(f"{folder}: the head's {', '.join(bad)} hold NaN, infinity or no numbers.")


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
    if unknown := sorted(set(manifest) - {*_MANIFEST_KEYS, *_OPTIONAL_KEYS}):
        problems.append(f"has the unknown keys {unknown!s:.500}")
    if missing := sorted(set(_MANIFEST_KEYS) - set(manifest)):
        problems.append(f"lacks the keys {missing}")
    if version != FORMAT_VERSION:
        problems.append(f"has format version {version!r:.50}, which there never was")
    problems += [
        f"has {key} = {manifest[key]!r:.100}, which is of the wrong type"
        for key, kind in {**_MANIFEST_KEYS, **_OPTIONAL_KEYS}.items()
        if key in manifest and not isinstance(manifest[key], kind)
    ]
    if manifest.get("casing") not in ("cased", "uncased", None):
        problems.append(f"has casing = {manifest['casing']!r:.100}, expected cased, uncased or null")
    if problems:
        raise CheckpointError(f"{path} {'; it '.join(problems)}. Save or copy the model again.")
    return manifest


def read_encoder_origin(folder: Path, manifest: Mapping[str, Any]) -> EncoderOrigin | None:
    """Where a model's encoder began, as its manifest says; None where it does not say.

    Raises:
        CheckpointError: If it is not what save() wrote.
    """
    raw = manifest.get("encoder_origin")
    return None if raw is None else EncoderOrigin.from_json(raw, f"{folder / MANIFEST}: encoder_origin")


def _why_unfinished(folder: Path) -> str:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        return f"{folder} {found}; a model is a folder that save() or `bertblocks train` wrote."
    return (
        f"{folder} has no {MANIFEST}: it is not a bertblocks model, or its training has not finished (finish "
        "it with `bertblocks train ... --resume`)."
    )


def _write_manifest(folder: Path, model: SavedModel, version: str) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    manifest = {
        "format_version": FORMAT_VERSION,
        "bertblocks_version": version,
        "graph": model.graph.to_json(),
        "task": model.task.to_json(),
        "casing": model.casing,
        "activation": model.config.activation,
        "origin": model.origin,
        "encoder_origin": model.encoder_origin.to_json() if model.encoder_origin else None,
        "files": {path.relative_to(folder).as_posix(): file_sha256(path) for path in files},
    }
    write_text_atomically(folder / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def _check_hashes(folder: Path, files: Mapping[str, Any]) -> None:
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


def _is_inside(name: str) -> bool:
    """Whether a manifest's name is a plain relative path, on every system."""
    parts = name.split("/")
    return "\0" not in name and not any(
        part in ("", ".", "..") or "\\" in part or ":" in part for part in parts
    )


def _write_sentence_transformers(folder: Path, graph: Graph, config: EncoderConfig) -> None:
    """The files by which sentence-transformers opens the encoder with the graph's pooling."""
    is_average = any(isinstance(block, GlobalAveragePooling1D) for block in graph.blocks)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    of_sequence: PoolingName = "average" if is_average else "max"
    write_pooling(folder, "cls" if graph.encoder.output == "cls" else of_sequence, config.hidden_size)
    limit = graph.tokenizer.sequence_length if graph.tokenizer else config.max_sequence_length
    for path, content in (
        (folder / "modules.json", modules),
        (folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False}),
    ):
        write_text_atomically(path, json.dumps(content, indent=1) + "\n")
