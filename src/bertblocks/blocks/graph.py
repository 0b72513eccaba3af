"""Blocks joined: checked completely when a Graph is made, written and read as JSON."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bertblocks.blocks.blocks import (
    ALL_BLOCKS,
    ENCODER_BLOCKS,
    BertTokenizer,
    Block,
    EncoderBlock,
    Port,
    Target,
    TextInput,
    TokenIdsInput,
    block_names,
)
from bertblocks.blocks.check_sizes import activation_advice
from bertblocks.blocks.checks import graph_problems
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

    def _of(self, kind: type[B]) -> Iterator[B]:
        return (block for block in self.blocks if isinstance(block, kind))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back; each block names its inputs."""
        names = block_names(self.blocks)
        num_heads = len(self.inputs)
        entries = []
        for index, (name, block) in enumerate(zip(names, self.blocks, strict=True)):
            sources = names[:num_heads] if index == num_heads else names[max(index - 1, 0) : index]
            entries.append(
                {
                    "name": name,
                    "block": type(block).__name__,
                    "inputs": [] if index < num_heads else list(sources),
                    "options": dataclasses.asdict(block),
                }
            )
        return {"blocks": entries}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Graph:
        """Read what to_json wrote.

        Raises:
            GraphError: If a key, a block or an option is unknown, or the blocks cannot be joined.
        """
        try:
            entries = list(data["blocks"])
            blocks = [_block_from_json(entry) for entry in entries]
        except GraphError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise GraphError(f"This is not the JSON form of a graph: {error!r}.") from error
        graph = cls(blocks)
        # An option that is missing takes its default; all else is as to_json writes it.
        for found, expected in zip(entries, graph.to_json()["blocks"], strict=True):
            if {**found, "options": None} != {**expected, "options": None}:
                raise GraphError(
                    f"Only chains can be read: {expected['name']} should have the inputs "
                    f"{expected['inputs']} and the keys {sorted(expected)}, found {dict(found)}."
                )
        if unknown := sorted(set(data) - {"blocks"}):
            raise GraphError(f"The JSON form of a graph has the one key 'blocks', found also {unknown}.")
        return graph


def _block_from_json(entry: Mapping[str, Any]) -> Block:
    kinds = {kind.__name__: kind for kind in ALL_BLOCKS}
    kind = kinds.get(entry["block"])
    if kind is None:
        raise GraphError(f"There is no block {entry['block']!r}; the blocks are {', '.join(kinds)}.")
    options = dict(entry["options"])
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(options) - known):
        raise GraphError(f"{kind.__name__} has no option {unknown}; its options are {sorted(known)}.")
    return kind(**options)
