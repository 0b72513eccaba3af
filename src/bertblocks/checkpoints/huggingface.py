"""A Hugging Face BERT folder: config.json, and weights in any form that transformers has written since 2018.

What opens in transformers afterwards: a folder written without prefix as `AutoModel` (a BertModel; where it
has no pooler weights, pass `add_pooling_layer=False`, or transformers makes new ones and says so); one
written with "bert." and a classifier as `AutoModelForSequenceClassification`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bertblocks._files import write_text_atomically
from bertblocks._foreign_files import is_there
from bertblocks.checkpoints.google import open_google_weights, read_google_config
from bertblocks.checkpoints.huggingface_config import class_name, read_config, write_config
from bertblocks.checkpoints.listing import listed, raise_together
from bertblocks.checkpoints.names import (
    BUFFERS,
    HEAD_PREFIXES,
    POOLER_PARAMETERS,
    PREFIXES,
    encoder_parameters,
    from_hugging_face,
    modern_name,
    to_hugging_face,
)
from bertblocks.checkpoints.storage import write_tensors
from bertblocks.checkpoints.weight_files import SAFETENSORS, WEIGHT_FILES, Weights, open_weights
from bertblocks.encoder.config import EncoderConfig
from bertblocks.errors import CheckpointError
from bertblocks.text.google_folders import is_google_folder

__all__ = [
    "Checkpoint",
    "read_checkpoint",
    "read_config",
    "read_folder_config",
    "write_checkpoint",
    "write_config",
]

_POOLER = ("weight", "bias")


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A pretrained encoder as read from a folder.

    Attributes:
        config: The encoder's sizes.
        encoder: Every tensor of the encoder, by the names of its state dict.
        pooler: BERT's pooler, "weight" (D, D) and "bias" (D,); None where the folder has none.
        head: Tensors of a task's head under their Hugging Face names; empty unless asked for.
        dropped: Names of the head's tensors that were left out.
        folder: Where it was read from.
    """

    config: EncoderConfig
    encoder: dict[str, torch.Tensor]
    pooler: dict[str, torch.Tensor] | None
    head: dict[str, torch.Tensor]
    dropped: tuple[str, ...]
    folder: Path


def read_checkpoint(
    folder: Path, *, keep_heads: bool = False, dtype: torch.dtype = torch.float32
) -> Checkpoint:
    """Read a BERT encoder from a folder of Hugging Face's or Google's form, with or without a head.

    Weights are looked for in model.safetensors, its sharded form, pytorch_model.bin, its sharded form; beside
    Google's bert_config.json in its checkpoint. The encoder is held once: query, key and value are joined
    layer by layer, and the parts let go.

    Args:
        folder: A folder with config.json, or else with bert_config.json, and weights.
        keep_heads: Whether to read what belongs to a task's head too, rather than drop it.
        dtype: float32, bfloat16 or float16; floating point tensors are converted to it.

    Returns:
        The checkpoint, its tensors complete, of the right shapes, and finite.

    Raises:
        CheckpointError: If a file is missing or damaged, config.json describes another network, or tensors
            are missing, unexpected, doubled, of the wrong shape or kind, or not finite; all of these at once.
    """
    config = read_folder_config(folder)
    files = open_google_weights(folder) if is_google_folder(folder) else open_weights(folder)
    sources = _sort(files, config)
    rows = [*encoder_parameters(config.num_hidden_layers), *(POOLER_PARAMETERS if sources.has_pooler else ())]
    shapes = {part: row.part_shape(config) for row in rows for part in row.hugging_face}
    problems = _shape_problems(sources, shapes)
    # what fits is read even so: NaN belongs into the same report
    fitting = {name: source for name, source in sources.wanted.items() if source.shape == shapes[name]}
    tensors = _read(fitting, dtype)
    head = _read(sources.head, dtype) if keep_heads else {}
    problems |= _value_problems({**tensors, **head})
    raise_together(f"{folder} does not hold the BERT encoder that its config.json describes", problems)
    ours = from_hugging_face(tensors, rows)
    return Checkpoint(
        config=config,
        pooler={kind: ours.pop(f"pooler.{kind}") for kind in _POOLER} if sources.has_pooler else None,
        encoder=ours,
        head=head,
        dropped=() if keep_heads else tuple(sources.head),
        folder=folder,
    )


def read_folder_config(folder: Path) -> EncoderConfig:
    """Read an encoder's configuration from a folder of either form.

    Raises:
        CheckpointError: If the folder holds none, or it describes another network.
    """
    if is_google_folder(folder):
        return read_google_config(folder)
    return read_config(_config_file(folder))


def write_checkpoint(
    folder: Path,
    *,
    config: EncoderConfig,
    encoder: Mapping[str, torch.Tensor],
    pooler: Mapping[str, torch.Tensor] | None,
    head: Mapping[str, torch.Tensor] | None = None,
    extra_config: Mapping[str, Any] | None = None,
    with_prefix: bool = False,
) -> None:
    """Write an encoder, and a head if there is one, as a folder with config.json and model.safetensors.

    Args:
        folder: Where to; made if it does not exist. Files of these two names are replaced.
        config: The encoder's sizes.
        encoder: The encoder's state dict; each tensor is written in its own dtype.
        pooler: "weight" and "bias" of BERT's pooler, or None.
        head: Tensors under their Hugging Face names, such as "classifier.weight".
        extra_config: Further keys of config.json: id2label, label2id, problem_type, pad_token_id,
            architectures.
        with_prefix: Write the encoder's names as transformers expects them below a head ("bert.…").

    Raises:
        CheckpointError: If tensors are missing, unknown or of the wrong shape (all of them are listed), or a
            file cannot be written.
        ConfigError: If extra_config names a key that the encoder decides.
    """
    below = PREFIXES[config.family]
    rows = [*encoder_parameters(config.num_hidden_layers), *(POOLER_PARAMETERS if pooler is not None else ())]
    ours = {**encoder, **{f"pooler.{kind}": tensor for kind, tensor in (pooler or {}).items()}}
    shapes = {row.name: row.shape(config) for row in rows}
    raise_together(
        f"{folder} is not written: the tensors are not those of the configuration",
        {
            "missing": [name for name in shapes if name not in ours],
            "unexpected": [name for name in ours if name not in shapes],
            "wrong shape": [
                f"{name} is {tuple(tensor.shape)}, expected {shapes[name]}"
                for name, tensor in ours.items()
                if name in shapes and tuple(tensor.shape) != shapes[name]
            ],
            "head tensors under an encoder's name": [
                name for name in head or {} if _is_encoder_name(name, below)
            ],
        },
    )
    purpose = "ForSequenceClassification" if with_prefix and head else "Model"
    architectures = [class_name(config.family, purpose)]
    written = write_config(config, extra={"architectures": architectures, **(extra_config or {})})
    prefix = below if with_prefix else ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / SAFETENSORS, {**to_hugging_face(ours, rows, prefix=prefix), **(head or {})})
        text = json.dumps(written, indent=2, ensure_ascii=False) + "\n"
        write_text_atomically(folder / "config.json", text)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}.") from error


@dataclass(frozen=True, kw_only=True)
class _Source:
    """Where one tensor lies: its file, its name and its shape there."""

    file: Weights
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return self.file.shapes[self.name]


@dataclass(frozen=True, kw_only=True)
class _Sources:
    """A folder's tensors told apart: encoder and pooler by the name without prefix, a head by its own."""

    wanted: dict[str, _Source] = field(default_factory=dict)
    head: dict[str, _Source] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def has_pooler(self) -> bool:
        return any(part in self.wanted for row in POOLER_PARAMETERS for part in row.hugging_face)


def _sort(files: Iterable[Weights], config: EncoderConfig) -> _Sources:
    """Tell encoder, pooler, head and the rest apart by name, through the table."""
    rows = (*encoder_parameters(config.num_hidden_layers), *POOLER_PARAMETERS)
    known = {part for row in rows for part in row.hugging_face}
    sources = [_Source(file=file, name=name) for file in files for name in file.shapes]
    prefix = PREFIXES[config.family]
    prefixed = any(source.name.startswith(prefix) for source in sources)
    result = _Sources()
    for source in sources:
        name = modern_name(source.name)
        bare = name.removeprefix(prefix)
        if bare in BUFFERS:
            continue
        if bare in known:
            group, key = result.wanted, bare
        elif name == bare and (prefixed or name.startswith(HEAD_PREFIXES)):
            group, key = result.head, name
        else:
            result.unexpected.append(source.name)
            continue
        if key in group:
            result.doubled.append(f"{group[key].name} and {source.name}")
        group[key] = source
    return result


def _shape_problems(sources: _Sources, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[str]]:
    return {
        "missing": [name for name in shapes if name not in sources.wanted],
        "unexpected": sources.unexpected,
        "twice under two names": sources.doubled,
        "wrong shape": [
            f"{source.name} is {source.shape}, config.json asks for {shapes[name]}"
            for name, source in sources.wanted.items()
            if source.shape != shapes[name]
        ],
    }


def _read(sources: Mapping[str, _Source], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Read tensors, each file once."""
    tensors: dict[str, torch.Tensor] = {}
    for file in {id(source.file): source.file for source in sources.values()}.values():
        names = {source.name: name for name, source in sources.items() if source.file is file}
        tensors.update((names[stored], tensor) for stored, tensor in file.read(names, dtype).items())
    return tensors


def _value_problems(tensors: Mapping[str, torch.Tensor]) -> dict[str, list[str]]:
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    return {
        "not floating point": [
            f"{name} is {tensor.dtype}" for name, tensor in tensors.items() if name not in floating
        ],
        "NaN or infinity in": [name for name, tensor in floating.items() if not _is_finite(tensor)],
    }


def _is_finite(tensor: torch.Tensor) -> bool:
    """One pass without a temporary as large as the tensor: NaN and infinities show in the extremes."""
    return not tensor.numel() or all(bool(extreme.isfinite()) for extreme in tensor.aminmax())


def _is_encoder_name(name: str, prefix: str) -> bool:
    return name.removeprefix(prefix).startswith(("embeddings.", "encoder.", "pooler."))


def _config_file(folder: Path) -> Path:
    path = folder / "config.json"
    if not is_there(path):
        found = (
            listed(sorted(item.name for item in folder.iterdir())) if folder.is_dir() else "no such folder"
        )
        raise CheckpointError(
            f"{folder} is no model folder: it must hold config.json and weights ({', '.join(WEIGHT_FILES)}), "
            f"or Google's bert_config.json with its checkpoint, found {found}."
        )
    return path
