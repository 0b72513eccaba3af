"""What may follow what: the kinds of port decide, and each wrong joint has its own mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from bertblocks.blocks.blocks import (
    ENCODER_BLOCKS,
    BertEncoder,
    BertTokenizer,
    Block,
    Port,
    Target,
    TextInput,
    TokenIdsInput,
    block_names,
)
from bertblocks.blocks.problems import Problem

_POOLINGS = "GlobalAveragePooling1D() or GlobalMaxPooling1D()"


def order_problems(blocks: Sequence[Block]) -> Iterator[Problem]:
    """Where a graph begins, ends, or is joined as it cannot be."""
    if not blocks:
        yield Problem(0, "A graph of no blocks: begin with TextInput('column'), end with Target('column').")
        return
    names = block_names(blocks)
    if blocks[0].accepts:
        yield Problem(
            0,
            f"{names[0]} begins the graph, but accepts {_accepted(blocks[0])}: begin with "
            "TextInput('column') and BertTokenizer(), or with TokenIdsInput('column').",
        )
    joints = list(_joint_problems(blocks, names))
    yield from joints
    if not joints and not any(isinstance(block, ENCODER_BLOCKS) for block in blocks):
        yield Problem(
            len(blocks), "The graph has no encoder: add one, for instance MultilingualBertEncoder()."
        )
    if not any(isinstance(block, Target) for block in blocks):
        yield Problem(
            len(blocks),
            f"{names[-1]} ends the graph, but only a Target may: add Target('column') after a last Dense.",
        )


def _joint_problems(blocks: Sequence[Block], names: Sequence[str]) -> Iterator[Problem]:
    for index, (before, after) in enumerate(pairwise(blocks), start=1):
        is_pair = index == 1 and isinstance(before, TextInput) and isinstance(after, TextInput)
        if is_pair or before.gives in after.accepts:
            continue
        got = f"{names[index]} got {before.gives.value} from {names[index - 1]}"
        yield Problem(index, f"{got}, but accepts {_accepted(after)}: {_mend(blocks, index, names)}.")


def _accepted(block: Block) -> str:
    return " or ".join(sorted(port.value for port in block.accepts)) or "nothing, since inputs begin a graph"


def _mend(blocks: Sequence[Block], index: int, names: Sequence[str]) -> str:
    """The words that mend a joint: first for blocks that are one too many, then for one that lacks."""
    before, after = blocks[index - 1], blocks[index]
    name = names[index]
    if isinstance(after, TextInput | TokenIdsInput):
        return f"a graph reads one TextInput, two of them as a pair, or one TokenIdsInput; remove {name}"
    if isinstance(before, Target):
        kept = "remove one of the two" if isinstance(after, Target) else "move Target to the end"
        return f"nothing follows a Target; {kept}"
    if isinstance(after, BertTokenizer):
        return f"a tokenizer follows a TextInput; {_without_tokenizer(before, name)}"
    if isinstance(after, ENCODER_BLOCKS) and _has_before(blocks, index):
        return f"a graph has one encoder; remove {name}"
    return _missing(before, after, names[index - 1])


def _without_tokenizer(before: Block, name: str) -> str:
    if isinstance(before, TokenIdsInput):
        return (
            f"write TextInput({before.column!r}) if the column holds texts, or remove {name} if it holds ids"
        )
    return f"remove {name}"


def _has_before(blocks: Sequence[Block], index: int) -> bool:
    return any(isinstance(block, ENCODER_BLOCKS) for block in blocks[:index])


def _missing(before: Block, after: Block, before_name: str) -> str:
    """What lacks between two blocks."""
    if before.gives is Port.SEQUENCE:
        return f'put {_POOLINGS} between them, or set output="cls" in {before_name}'
    if before.gives is Port.TEXT and isinstance(after, ENCODER_BLOCKS):
        weights = "multilingual-cased" if isinstance(after, BertEncoder) else after.weights
        return f"put BertTokenizer(vocabulary={weights!r}) between them"
    if before.gives is Port.TEXT:
        return "put BertTokenizer() and MultilingualBertEncoder() between them"
    if after.accepts == {Port.SEQUENCE}:
        return _for_pooling(before, before_name)
    if before.gives is Port.TOKENS:
        return "put an encoder between them, for instance MultilingualBertEncoder()"
    return f"the encoder comes right after the tokenizer; move it before {before_name}"


def _for_pooling(before: Block, before_name: str) -> str:
    if isinstance(before, ENCODER_BLOCKS):
        return f'set output="sequence" in {before_name}, or remove the pooling'
    return 'put it right after an encoder with output="sequence", or remove it'
