"""Every rule by which blocks are joined: all problems of a graph are told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from bertblocks.blocks.blocks import (
    ALL_BLOCKS,
    ENCODER_BLOCKS,
    BertTokenizer,
    Block,
    Dense,
    Target,
    TextInput,
    TokenIdsInput,
)
from bertblocks.blocks.check_options import option_problems
from bertblocks.blocks.check_order import order_problems
from bertblocks.blocks.check_sizes import column_problems, last_dense_problems, weights_problems
from bertblocks.blocks.field_types import nearest, type_problems
from bertblocks.blocks.problems import Problem

# Each with the blocks that it compares: sizes can be compared only where all of these are of the right type.
_SIZE_RULES: dict[Callable[[Sequence[Block]], Iterator[Problem]], tuple[type, ...]] = {
    weights_problems: (BertTokenizer, *ENCODER_BLOCKS),
    column_problems: (TextInput, TokenIdsInput, Target),
    last_dense_problems: (Dense, Target),
}


def graph_problems(blocks: Sequence[Any]) -> list[str]:
    """Everything that keeps the blocks from being a model, in their order; empty where nothing does."""
    return list(_foreign_items(blocks)) or [problem.text for problem in _problems(blocks)]


def _foreign_items(blocks: Sequence[Any]) -> Iterator[str]:
    names = [kind.__name__ for kind in ALL_BLOCKS]
    for index, block in enumerate(blocks):
        if isinstance(block, type) and block in ALL_BLOCKS:
            yield f"Item {index} is the class {block.__name__}, not a block: write {block.__name__}(...)."
        elif isinstance(block, str) and block in names:
            yield f"Item {index} is the text {block!r}, not a block: write {block}(...) without quotes."
        elif isinstance(block, list | tuple):
            kind = type(block).__name__
            yield f"Item {index} is a {kind}, not a block: write its blocks without the brackets."
        elif not isinstance(block, ALL_BLOCKS):
            yield (
                f"Item {index} is {block!r:.100}, but a graph consists of blocks such as TextInput('review')"
                f"{nearest(block, names)}."
            )


def _problems(blocks: Sequence[Block]) -> list[Problem]:
    problems = [*order_problems(blocks), *option_problems(blocks)]
    for rule, kinds in _SIZE_RULES.items():
        if all(not any(type_problems(block)) for block in blocks if isinstance(block, kinds)):
            problems += rule(blocks)
    return sorted(problems, key=lambda problem: problem.place)
