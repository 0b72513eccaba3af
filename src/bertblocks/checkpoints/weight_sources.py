"""A folder's tensors told apart before one is read: encoder and pooler, a task's head, and the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from bertblocks.checkpoints.names import (
    BUFFERS,
    HEAD_PREFIXES,
    POOLER_PARAMETERS,
    PREFIXES,
    encoder_parameters,
    modern_name,
)
from bertblocks.encoder.config import EncoderConfig


class Weights(Protocol):
    """Tensors known by their names and shapes, and not read yet."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, as it is stored."""

    def read(self, names: Iterable[str], dtype: torch.dtype) -> Iterator[tuple[str, torch.Tensor]]:
        """Read one tensor after another into memory of its own; floating point ones become `dtype`."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where one tensor lies.

    Attributes:
        file: What it is read from.
        name: What it is called there, and in messages.
        transposed: Whether its two axes are the other way round there.
    """

    file: Weights
    name: str
    transposed: bool = False

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Its shape there."""
        return self.file.shapes[self.name]

    def as_stored(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How a shape of torch's lies there."""
        return shape[::-1] if self.transposed else shape


@dataclass(frozen=True, kw_only=True)
class Sources:
    """A folder's tensors told apart.

    Attributes:
        wanted: Encoder and pooler, by Hugging Face's name without prefix.
        head: A task's head, by Hugging Face's name.
        dropped: Names of what belongs to a head that has no name in Hugging Face's form.
        unexpected: Names that belong to nothing.
        doubled: Pairs of names that mean the same tensor.
        spelling: What `wanted`'s names are in this form, where that is another name.
        hint: What the names as a whole suggest to be wrong.
    """

    wanted: dict[str, Source] = field(default_factory=dict)
    head: dict[str, Source] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    spelling: Mapping[str, str] = field(default_factory=dict)
    hint: str | None = None

    @property
    def has_pooler(self) -> bool:
        """Whether there is a part of BERT's pooler."""
        return any(part in self.wanted for row in POOLER_PARAMETERS for part in row.hugging_face)

    def shown(self, name: str) -> str:
        """What a tensor is called in messages: in Google's form by Google's name."""
        return self.spelling.get(name, name)


def hugging_face_sources(files: Iterable[Weights], config: EncoderConfig) -> Sources:
    """Tell encoder, pooler, head and the rest apart by name, through the table.

    Args:
        files: Every file of weights, under Hugging Face's names.
        config: Decides the layers and the prefix.
    """
    rows = (*encoder_parameters(config.num_hidden_layers), *POOLER_PARAMETERS)
    known = {part for row in rows for part in row.hugging_face}
    sources = [Source(file=file, name=name) for file in files for name in file.shapes]
    prefix = PREFIXES[config.family]
    prefixed = any(source.name.startswith(prefix) for source in sources)
    result = Sources(hint=_beginning_hint((source.name for source in sources), prefix))
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


def _beginning_hint(names: Iterable[str], prefix: str) -> str | None:
    """Say so where the encoder lies deeper in a model, or in one of another family."""
    end = "embeddings.word_embeddings.weight"
    found = next((name.removesuffix(end) for name in names if name.endswith("." + end)), "")
    if found in ("", prefix):
        return None
    return f"its names begin with {found!r:.100}, expected {prefix!r} or nothing: save that part alone"
