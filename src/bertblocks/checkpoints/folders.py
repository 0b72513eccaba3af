"""An encoder's folder, in whichever form it is, and the checkpoint that is read from it.

form             configuration       weights
Hugging Face's   config.json         model.safetensors, pytorch_model.bin, or either in shards
Google's         bert_config.json    bert_model.ckpt.index and its data files
of 2018          bert_config.json    pytorch_model.bin, as the first ports to torch wrote it
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from bertblocks._foreign_files import is_there
from bertblocks.checkpoints.google import checkpoint_files, google_sources, has_checkpoint, read_google_config
from bertblocks.checkpoints.huggingface_config import read_config
from bertblocks.checkpoints.listing import listed, raise_together
from bertblocks.checkpoints.names import (
    POOLER_PARAMETERS,
    SCALE,
    encoder_parameters,
    from_hugging_face,
    scale_rows,
)
from bertblocks.checkpoints.weight_files import WEIGHT_FILES, open_weights, weight_paths
from bertblocks.checkpoints.weight_sources import Source, Sources, hugging_face_sources
from bertblocks.encoder import EncoderConfig, quantize_weight
from bertblocks.errors import CheckpointError
from bertblocks.text.google_folders import GOOGLE_CONFIG, is_google_folder

_CONFIG = "config.json"
_POOLER = ("weight", "bias")
_POOLER_PARTS = frozenset(part for row in POOLER_PARAMETERS for part in row.hugging_face)


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """A pretrained encoder as read from a folder.

    Attributes:
        config: The encoder's sizes.
        encoder: Every tensor of the encoder, by the names of its state dict.
        pooler: BERT's pooler, "weight" (D, D) and "bias" (D,); None where the folder has none.
        head: Tensors of a task's head under their Hugging Face names; empty unless asked for.
        dropped: Names of the head's tensors that were left out, as the folder has them.
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
    """Read a BERT encoder from a folder of any form, with or without a head.

    The encoder is held once: query, key and value are joined layer by layer, and the parts let go.

    Args:
        folder: A folder with config.json, or else with bert_config.json, and weights.
        keep_heads: Whether to read what belongs to a task's head too, rather than drop it. Of Google's heads
            only those that Hugging Face has a name for can be kept.
        dtype: float32 or float16; the encoder's tensors are converted to it, a tensor at a time, pooler and
            head are float32. Or, for an encoder that only answers: bfloat16, where the biases and norms of
            the layers stay float32; or int8, where besides the layers' weights are quantized, each with its
            scales beside it as "….weight_scale", and the embeddings are bfloat16.

    Returns:
        The checkpoint, its tensors complete, of the right shapes, and finite.

    Raises:
        CheckpointError: If a file is missing or damaged, the configuration describes another network, or
            tensors are missing, unexpected, doubled, of the wrong shape or kind, or not finite; all of these
            at once.
    """
    config = read_folder_config(folder)
    described = GOOGLE_CONFIG if is_google_folder(folder) else _CONFIG
    sources = _sources(folder, config)
    rows = [*encoder_parameters(config.num_hidden_layers), *(POOLER_PARAMETERS if sources.has_pooler else ())]
    shapes = {part: row.part_shape(config) for row in rows for part in row.hugging_face}
    problems = _shape_problems(sources, shapes, described)
    # what fits is read even so: NaN belongs into the same report
    fitting = {name: source for name, source in sources.wanted.items() if _fits(source, shapes[name])}
    reading = _Reading(sources)
    tensors: dict[str, torch.Tensor] = {}
    quantized = {part for row in rows if row.is_dense_weight for part in row.hugging_face} - _POOLER_PARTS
    for target, wanted in _by_target(fitting, shapes, dtype).items():
        for name, tensor in reading.each(wanted, target):
            if dtype == torch.int8 and name in quantized and tensor.is_floating_point():
                tensors[name], tensors[name + SCALE] = quantize_weight(tensor)
            else:
                tensors[name] = tensor
    head = dict(reading.each(sources.head, torch.float32)) if keep_heads else {}
    problems |= reading.problems
    hint = f" ({sources.hint})" if sources.hint else ""
    raise_together(f"{folder} does not hold the BERT encoder that its {described} describes{hint}", problems)
    scales = scale_rows(encoder_parameters(config.num_hidden_layers)) if dtype == torch.int8 else ()
    ours = from_hugging_face(tensors, [*rows, *scales])
    return Checkpoint(
        config=config,
        pooler={kind: ours.pop(f"pooler.{kind}") for kind in _POOLER} if sources.has_pooler else None,
        encoder=ours,
        head=head,
        dropped=(*(() if keep_heads else (x.name for x in sources.head.values())), *sources.dropped),
        folder=folder,
    )


def read_folder_config(folder: Path) -> EncoderConfig:
    """Read an encoder's configuration from a folder of any form.

    Raises:
        CheckpointError: If the folder holds none, or it describes another network.
    """
    if is_google_folder(folder):
        return read_google_config(folder)
    return read_config(_config_file(folder))


def folder_weights(folder: Path) -> list[Path]:
    """The files that an encoder's weights are read from, those that say where each tensor lies among them.

    Raises:
        CheckpointError: If a file that says where the tensors lie cannot be read.
    """
    return checkpoint_files(folder) if _has_googles_weights(folder) else weight_paths(folder)


def _sources(folder: Path, config: EncoderConfig) -> Sources:
    if _has_googles_weights(folder):
        return google_sources(folder, config)
    return hugging_face_sources(open_weights(folder), config)


def _has_googles_weights(folder: Path) -> bool:
    if not is_google_folder(folder):
        return False
    return has_checkpoint(folder) or not any(is_there(folder / name) for name in WEIGHT_FILES)


def _shape_problems(
    sources: Sources, shapes: Mapping[str, tuple[int, ...]], described: str
) -> dict[str, list[str]]:
    return {
        "missing": [sources.shown(name) for name in shapes if name not in sources.wanted],
        "unexpected": sources.unexpected,
        "twice under two names": sources.doubled,
        "wrong shape": [
            f"{source.name} is {source.stored_shape}, {described} asks for {source.as_stored(shapes[name])}"
            for name, source in sources.wanted.items()
            if not _fits(source, shapes[name])
        ],
    }


def _fits(source: Source, shape: tuple[int, ...]) -> bool:
    return source.stored_shape == source.as_stored(shape)


def _by_target(
    sources: Mapping[str, Source], shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype
) -> dict[torch.dtype, dict[str, Source]]:
    """The type that each tensor is read in."""
    targets: dict[torch.dtype, dict[str, Source]] = {}
    for name, source in sources.items():
        targets.setdefault(_target(name, len(shapes[name]), dtype), {})[name] = source
    return targets


def _target(name: str, num_axes: int, dtype: torch.dtype) -> torch.dtype:
    """Biases and norms stay exact where kernels add them in float32; int8 is made of float32."""
    if name in _POOLER_PARTS:
        return torch.float32
    if dtype not in (torch.bfloat16, torch.int8):
        return dtype
    if name.startswith("embeddings."):
        return torch.bfloat16
    return torch.bfloat16 if dtype == torch.bfloat16 and num_axes == 2 else torch.float32


class _Reading:
    """Reads tensors one after another, and keeps what is wrong with their values."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.problems: dict[str, list[str]] = {"not floating point": [], "NaN or infinity in": []}

    def each(self, sources: Mapping[str, Source], dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
        """Read each file once; what is turned round does not stay beside its original."""
        for file in {id(source.file): source.file for source in sources.values()}.values():
            wanted = {source.name: name for name, source in sources.items() if source.file is file}
            for stored, tensor in file.read(wanted, dtype):
                name = wanted[stored]
                self._check(name, tensor)
                yield name, tensor.t().contiguous() if sources[name].transposed else tensor

    def _check(self, name: str, tensor: torch.Tensor) -> None:
        shown = self._sources.shown(name)
        if not tensor.is_floating_point():
            self.problems["not floating point"].append(f"{shown} is {tensor.dtype}")
        elif not _is_finite(tensor):
            self.problems["NaN or infinity in"].append(shown)


def _is_finite(tensor: torch.Tensor) -> bool:
    """One pass without a temporary as large as the tensor: NaN and infinities show in the extremes."""
    return not tensor.numel() or all(bool(extreme.isfinite()) for extreme in tensor.aminmax())


def _config_file(folder: Path) -> Path:
    path = folder / _CONFIG
    if not is_there(path):
        found = (
            listed(sorted(item.name for item in folder.iterdir())) if folder.is_dir() else "no such folder"
        )
        raise CheckpointError(
            f"{folder} is no model folder: it must hold config.json and weights ({', '.join(WEIGHT_FILES)}), "
            f"or Google's bert_config.json with its checkpoint, found {found}."
        )
    return path
