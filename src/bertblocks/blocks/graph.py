"""Blocks joined: checked completely when a Graph is made, written and read as JSON."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bertblocks._files import write_text_atomically
from bertblocks.blocks.blocks import (
    ENCODER_BLOCKS,
    BertTokenizer,
    Block,
    EncoderBlock,
    Port,
    Target,
    TextInput,
    TokenIdsInput,
)
from bertblocks.blocks.check_sizes import activation_advice
from bertblocks.blocks.checks import graph_problems
from bertblocks.blocks.drawing import draw, table
from bertblocks.blocks.graph_json import blocks_from_json, blocks_to_json, read_graph_file
from bertblocks.blocks.sizes import block_sizes
from bertblocks.errors import GraphError

B = TypeVar("B", bound=Block)


@dataclass(frozen=True)
class Graph:
    """A chain of blocks from one or two text columns to a target.

    Raises:
        GraphError: If the blocks cannot be joined; every problem at once, each with its mend.
    """

    blocks: tuple[Block, ...]

    def __init__(self, blocks: Sequence[Block]) -> None:
        if not isinstance(blocks, list | tuple):
            raise GraphError(f"A graph takes a list of blocks, found {blocks!r:.100}: write Graph([...]).")
        object.__setattr__(self, "blocks", tuple(blocks))
        if problems := graph_problems(self.blocks):
            raise GraphError("The blocks cannot be joined:\n" + "\n".join(f"- {text}" for text in problems))
        if advice := activation_advice(self.blocks):
            warnings.warn(advice, stacklevel=2)

    @property
    def inputs(self) -> tuple[TextInput | TokenIdsInput, ...]:
        """The columns that go in: one or two of texts, or one of token ids."""
        return tuple(block for block in self.blocks if isinstance(block, TextInput | TokenIdsInput))

    @property
    def tokenizer(self) -> BertTokenizer | None:
        """The tokenizer, or None where ids go in."""
        return next(self._of(BertTokenizer), None)

    @property
    def encoder(self) -> EncoderBlock:
        """The encoder."""
        return next(block for block in self.blocks if isinstance(block, ENCODER_BLOCKS))

    @property
    def head(self) -> tuple[Block, ...]:
        """Pooler, dropout and dense blocks, in order."""
        return tuple(
            block for block in self.blocks if block.accepts == {Port.VECTOR} and block != self.target
        )

    @property
    def target(self) -> Target:
        """The column to predict."""
        return next(self._of(Target))

    def summary(self) -> str:
        """A table of the blocks with what each gives and its parameters, from the declarations alone."""
        return table(block_sizes(self.blocks))

    def drawing(self) -> str:
        """The blocks as boxes joined by arrows, at most 80 columns wide."""
        return draw(block_sizes(self.blocks))

    def __str__(self) -> str:
        return self.summary()

    def _of(self, kind: type[B]) -> Iterator[B]:
        return (block for block in self.blocks if isinstance(block, kind))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back; each block names its inputs."""
        return blocks_to_json(self.blocks)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Graph:
        """Read what to_json wrote; an option that is missing takes its default.

        Raises:
            GraphError: If keys, blocks or options are unknown or lack, or the blocks cannot be joined.
        """
        return cls(blocks_from_json(data))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph as a JSON file, which replaces an existing one only when it is complete."""
        write_text_atomically(Path(path), json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Graph:
        """Read a JSON file that save wrote, or a person.

        Raises:
            GraphError: If the file is missing or is no JSON of a graph, or the blocks cannot be joined.
        """
        data = read_graph_file(Path(path))
        try:
            return cls.from_json(data)
        except GraphError as error:
            raise GraphError(f"{path}: {error}") from error
