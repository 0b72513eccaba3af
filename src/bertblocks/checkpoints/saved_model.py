"""Our own model folder: a Hugging Face folder plus `bertblocks.json`.

    config.json, model.safetensors       …ForSequenceClassification where the graph is one, else …Model
    tokenizer.json, tokenizer_config.json, vocab.txt      not where token ids go in
    head.safetensors                     dense layers that Hugging Face's class cannot hold
    bertblocks.json                      graph, task, and the sha256 of every file above; written last

A folder without bertblocks.json is unfinished; one whose files do not have their hashes is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertblocks._files import write_text_atomically
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
from bertblocks.checkpoints.manifest import (
    HEAD_FILE,
    MANIFEST,
    hashes_checked,
    read_description,
    read_encoder_origin,
    read_manifest,
    write_manifest,
)
from bertblocks.checkpoints.pooling_file import write_pooling
from bertblocks.checkpoints.storage import read_tensors, write_tensors
from bertblocks.encoder import EncoderConfig
from bertblocks.errors import CheckpointError


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

    def check_casing(self, casing: str | None, folder: Path) -> None:
        """Compare the casing that the manifest states with that of the folder's tokenizer.

        Args:
            casing: The tokenizer's.
            folder: Where both were read.

        Raises:
            CheckpointError: If they differ.
        """
        _check_stated(folder, "casing", self.casing, casing)


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
        write_tensors(folder / HEAD_FILE, model.head)
        if model.graph.tokenizer is not None:
            _write_sentence_transformers(folder, model.graph, model.config)
    write_manifest(
        folder,
        {
            "bertblocks_version": version,
            "graph": model.graph.to_json(),
            "task": model.task.to_json(),
            "casing": model.casing,
            "activation": model.config.activation,
            "origin": model.origin,
            "encoder_origin": model.encoder_origin.to_json() if model.encoder_origin else None,
        },
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenedModel:
    """A model folder that has said what it is, its weights not yet read; made by open_saved_model.

    Attributes:
        folder: The folder.
        manifest: bertblocks.json.
        graph: As SavedModel's.
        task: Likewise.
    """

    folder: Path
    manifest: Mapping[str, Any]
    graph: Graph
    task: Task

    def read(self, *, dtype: torch.dtype = torch.float32) -> SavedModel:
        """Read the weights.

        Args:
            dtype: What the encoder's tensors are converted to as they are read; the head's are float32.

        Raises:
            CheckpointError: If they are not what the folder says.
        """
        checkpoint = read_checkpoint(self.folder, keep_heads=True, dtype=dtype)
        _check_stated(self.folder, "activation", self.manifest["activation"], checkpoint.config.activation)
        if opens_as_sequence_classification(self.graph):
            head = join_head(self.graph, checkpoint)
        else:
            head = read_tensors(self.folder / HEAD_FILE)
        _check_head(head, self.graph, checkpoint.config.hidden_size, self.folder)
        return SavedModel(
            graph=self.graph,
            task=self.task,
            config=checkpoint.config,
            encoder=checkpoint.encoder,
            head=head,
            casing=self.manifest["casing"],
            origin=self.manifest["origin"],
            encoder_origin=read_encoder_origin(self.folder, self.manifest),
        )


@contextmanager
def open_saved_model(folder: Path) -> Iterator[OpenedModel]:
    """Open a model folder; while it is read, its files are checked against their hashes.

    Raises:
        CheckpointError: If the folder is unfinished or of an unknown format; at the end of the block, if it
            has been changed.
    """
    manifest = read_manifest(folder)
    with hashes_checked(folder, manifest["files"]):
        graph, task = read_description(folder, manifest)
        yield OpenedModel(folder=folder, manifest=manifest, graph=graph, task=task)


def read_saved_model(folder: Path) -> SavedModel:
    """Read a model folder, its files checked against their hashes.

    Raises:
        CheckpointError: If the folder is unfinished, changed, or of an unknown format.
    """
    with open_saved_model(folder) as opened:
        return opened.read()


def _check_stated(folder: Path, key: str, stated: str | None, found: str | None) -> None:
    """What the manifest says beside the files is what somebody else may build by: it must be true of them."""
    if stated != found:
        raise CheckpointError(
            f"{folder / MANIFEST} says {key} {stated!r:.100}, but the folder's files have {found!r}. Save or "
            "copy the model again."
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
