"""The rules by which blocks may be joined, each broken one a sentence that names the block and the mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from bertblocks.blocks.blocks import (
    ALL_BLOCKS,
    ENCODER_BLOCKS,
    MAX_SEQUENCE_LENGTH,
    MIN_SEQUENCE_LENGTH,
    NAMED_WEIGHTS,
    BertEncoder,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    EnglishBertEncoder,
    MultilingualBertEncoder,
    Port,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    block_names,
)
from bertblocks.blocks.field_types import type_problems
from bertblocks.blocks.task import OutputActivation, TaskKind

EXPECTED_ACTIVATIONS: dict[TaskKind, OutputActivation] = {
    "classification": "softmax",
    "binary": "softmax",
    "multilabel": "sigmoid",
    "regression": "linear",
}


_OTHER_LANGUAGE = {
    "MultilingualBertEncoder": ("english-uncased",),
    "EnglishBertEncoder": ("multilingual-cased", "mini"),
}


def graph_problems(blocks: Sequence[Any]) -> list[str]:
    """Everything that keeps the blocks from being a model; empty where nothing does."""
    return list(_foreign_items(blocks)) or list(_problems(blocks))


def activation_advice(blocks: Sequence[Block]) -> str | None:
    """What to say where the last dense layer names another activation than its target uses."""
    last, target = blocks[-2], blocks[-1]
    if not (isinstance(last, Dense) and isinstance(target, Target)):
        return None
    expected = EXPECTED_ACTIVATIONS[target.task]
    if last.activation == expected:
        return None
    return (
        f"The last Dense says activation={last.activation!r}, but a {target.task} target is trained and read "
        f"with {expected!r}, which is used; write activation={expected!r}."
    )


def _foreign_items(blocks: Sequence[Any]) -> Iterator[str]:
    for index, block in enumerate(blocks):
        if not isinstance(block, ALL_BLOCKS):
            yield f"Item {index} is {block!r}, but a graph consists of blocks such as TextInput('review')."


def _problems(blocks: Sequence[Block]) -> Iterator[str]:
    yield from _chain_problems(blocks)
    yield from _encoder_problems(blocks)
    yield from _column_problems(blocks)
    mistyped = False
    for name, block in zip(block_names(blocks), blocks, strict=True):
        found = [f"{name}: {problem}." for problem in type_problems(block)]
        mistyped = mistyped or bool(found)
        yield from found or _option_problems(name, block)
    if not mistyped:
        yield from _last_dense_problems(blocks)


def _chain_problems(blocks: Sequence[Block]) -> Iterator[str]:
    if not blocks or blocks[0].accepts:
        yield "The first block must be a TextInput or a TokenIdsInput."
    if sum(isinstance(block, ENCODER_BLOCKS) for block in blocks) != 1:
        yield "A graph needs exactly one encoder block, for instance MultilingualBertEncoder()."
    if not blocks or not isinstance(blocks[-1], Target):
        yield "The last block must be a Target, for instance Target('topic')."
    names = block_names(blocks)
    for index, (before, after) in enumerate(pairwise(blocks)):
        is_pair = index == 0 and isinstance(before, TextInput) and isinstance(after, TextInput)
        if not is_pair and before.gives not in after.accepts:
            yield (
                f"{names[index]} gives {before.gives.value}, but {names[index + 1]} accepts "
                f"{_accepted(after)}; {_mend(before, after)}"
            )


def _accepted(block: Block) -> str:
    return " or ".join(sorted(port.value for port in block.accepts)) or "nothing: it begins a graph"


def _mend(before: Block, after: Block) -> str:
    if before.gives is Port.SEQUENCE:
        return (
            "a Sequence output may only feed GlobalAveragePooling1D() or GlobalMaxPooling1D(): "
            'put one between, or set output="cls".'
        )
    if before.gives is Port.PREDICTION:
        return "nothing may follow a Target: move it to the end."
    if before.gives is Port.TEXT:
        return "put a BertTokenizer between them (a graph has at most two text inputs)."
    if after.accepts == {Port.SEQUENCE}:
        return 'put it right after an encoder with output="sequence".'
    if after.accepts == {Port.TEXT}:
        return "a tokenizer follows a TextInput."
    if after.accepts == {Port.VECTOR}:
        return "put an encoder between them."
    return "the order is inputs, tokenizer, encoder, pooling, dense layers, target."


def _encoder_problems(blocks: Sequence[Block]) -> Iterator[str]:
    """Whether tokenizer and weights belong together, as far as names tell."""
    tokenizer = next((block for block in blocks if isinstance(block, BertTokenizer)), None)
    for block in blocks:
        if not isinstance(block, MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder):
            continue
        name = type(block).__name__
        if tokenizer is None and not isinstance(block, PretrainedBertEncoder):
            yield f"{name} reads the ids of its own vocabulary: put BertTokenizer() before it."
        if tokenizer is not None and not _may_share(block, tokenizer.vocabulary):
            yield (
                f"{name} has the weights {block.weights!r}, but BertTokenizer has the vocabulary "
                f"{tokenizer.vocabulary!r}; set vocabulary={block.weights!r}."
            )
        if block.weights in _OTHER_LANGUAGE.get(name, ()):
            yield f"{name} cannot have the weights {block.weights!r}; use the encoder block of that language."


def _may_share(
    block: MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder, vocabulary: str
) -> bool:
    """Whether these weights may have been trained on this vocabulary; a folder may hold any."""
    if vocabulary == block.weights or vocabulary not in NAMED_WEIGHTS:
        return True
    return isinstance(block, PretrainedBertEncoder) and block.weights not in NAMED_WEIGHTS


def _column_problems(blocks: Sequence[Block]) -> Iterator[str]:
    """A column stands for one thing: a target among the inputs would be learnt by reading it."""
    names: dict[str, str] = {}
    for name, block in zip(block_names(blocks), blocks, strict=True):
        if not isinstance(block, TextInput | TokenIdsInput | Target) or not isinstance(block.column, str):
            continue
        first = names.setdefault(block.column, name)
        if first != name:
            yield f"{first} and {name} both take the column {block.column!r}; give each its own."


def _option_problems(name: str, block: Block) -> Iterator[str]:
    if isinstance(block, BertTokenizer):
        length = block.sequence_length
        if not MIN_SEQUENCE_LENGTH <= length <= MAX_SEQUENCE_LENGTH:
            yield (
                f"{name} has sequence_length {length}, but it must lie between {MIN_SEQUENCE_LENGTH} and "
                f"{MAX_SEQUENCE_LENGTH}."
            )
    if isinstance(block, TextInput | TokenIdsInput | Target) and not block.column:
        yield f"{name} has an empty column name; give it the name of a column of the table."
    if isinstance(block, BertEncoder):
        yield from _size_problems(name, block)
    if isinstance(block, Dense) and block.units < 1:
        yield f"{name} has {block.units} units, but needs at least 1."
    if isinstance(block, Dropout) and not 0 <= block.rate < 1:
        yield f"{name} has rate {block.rate}, but it must lie in [0, 1)."


def _size_problems(name: str, block: BertEncoder) -> Iterator[str]:
    sizes = ("vocabulary_size", "num_layers", "num_heads", "hidden_size", "intermediate_size")
    small = [option for option in sizes if getattr(block, option) < 1]
    for option in small:
        yield f"{name} has {option} {getattr(block, option)}, but it must be at least 1."
    if not small and block.hidden_size % block.num_heads:
        yield (
            f"{name} has hidden_size {block.hidden_size}, which is not a multiple of its num_heads "
            f"{block.num_heads}."
        )


def _last_dense_problems(blocks: Sequence[Block]) -> Iterator[str]:
    if len(blocks) < 2 or not isinstance(blocks[-1], Target):
        return
    target, last = blocks[-1], blocks[-2]
    if not isinstance(last, Dense):
        yield "The block before Target must be a Dense layer with one unit a class, or one for a number."
        return
    needed = {"binary": 2, "regression": 1}.get(target.task)
    if needed is not None and last.units != needed:
        yield f"The last Dense has {last.units} units, but a {target.task} target needs {needed}."
    if target.task == "classification" and last.units < 2:
        yield f"The last Dense has {last.units} unit, but a classification needs one a class: at least 2."
    for block in blocks[:-2]:
        if isinstance(block, Dense) and block.activation == "softmax":
            yield 'Only the last Dense may have activation="softmax"; use "relu" or "tanh" before it.'
