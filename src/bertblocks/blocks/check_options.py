"""Whether each block's own options have the types and lie in the ranges that they must."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertblocks.blocks.blocks import (
    MAX_LAYERS,
    MAX_SEQUENCE_LENGTH,
    MAX_SIZE,
    MIN_SEQUENCE_LENGTH,
    BertEncoder,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    EnglishBertEncoder,
    MultilingualBertEncoder,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    block_names,
)
from bertblocks.blocks.field_types import type_problems
from bertblocks.blocks.problems import Problem

_SPECIAL_TOKENS = 2  # [CLS] and [SEP], or <s> and </s>
_MIN_PAIR_LENGTH = 5  # [CLS] a [SEP] b [SEP]
_LIMITS = {"num_layers": MAX_LAYERS}
_IDLE = {"stride": BertTokenizer.stride, "window_pooling": BertTokenizer.window_pooling}
"""What windows alone make use of, with what stands there by default."""


def option_problems(blocks: Sequence[Block]) -> Iterator[Problem]:
    """Options of a wrong type or out of range; and softmax where a later layer would read it."""
    num_texts = sum(isinstance(block, TextInput) for block in blocks)
    last_dense = max((i for i, block in enumerate(blocks) if isinstance(block, Dense)), default=-1)
    for index, (name, block) in enumerate(zip(block_names(blocks), blocks, strict=True)):
        mistyped = list(type_problems(block))
        for problem in mistyped:
            yield Problem(index, f"{name}: {problem}.")
        if mistyped:
            continue
        for text in _range_problems(name, block):
            yield Problem(index, text)
        if isinstance(block, BertTokenizer) and num_texts > 1:
            yield from (Problem(index, text) for text in _pair_problems(name, block))
        if isinstance(block, Dense) and block.activation == "softmax" and index < last_dense:
            yield Problem(
                index,
                f'{name} has activation="softmax", but only the last Dense may: set "relu" or "tanh".',
            )


def _pair_problems(name: str, block: BertTokenizer) -> Iterator[str]:
    if block.windows == "slide":
        yield (
            f'{name} has windows="slide" for a pair of texts, of which either might slide: leave it out, '
            "and the longer text is cut first."
        )
    if MIN_SEQUENCE_LENGTH <= block.sequence_length < _MIN_PAIR_LENGTH:
        yield (
            f"{name} has sequence_length {block.sequence_length}, but [CLS], [SEP] and [SEP] around a pair "
            f"of texts leave no room for both: set sequence_length={_MIN_PAIR_LENGTH} or more."
        )


def _range_problems(name: str, block: Block) -> Iterator[str]:
    if isinstance(block, TextInput | TokenIdsInput | Target):
        yield from _column_problems(name, block.column)
    elif isinstance(block, BertTokenizer):
        yield from _tokenizer_problems(name, block)
    elif isinstance(block, BertEncoder):
        yield from _size_problems(name, block)
    elif isinstance(block, MultilingualBertEncoder | EnglishBertEncoder | PretrainedBertEncoder):
        if not block.weights.strip():
            yield f"{name} has empty weights: give it a named encoder such as 'mini', or a folder."
    elif isinstance(block, Dense):
        yield from _unit_problems(name, block.units)
    elif isinstance(block, Dropout) and not 0 <= block.rate < 1:
        yield f"{name} has rate {block.rate}, but it must be at least 0 and below 1: 0.1 is usual."


def _column_problems(name: str, column: str) -> Iterator[str]:
    if not column.strip():
        yield f"{name} has an empty column name: give it the name of a column of the table."
    elif any("\ud800" <= letter <= "\udfff" for letter in column):
        yield f"{name} has half a surrogate pair in its column {column!r:.100}: no table has such a name."


def _unit_problems(name: str, units: int) -> Iterator[str]:
    if units < 1:
        yield f"{name} has {units} units, but needs at least 1, one for each number that it gives."
    elif units > MAX_SIZE:
        yield f"{name} has more than {MAX_SIZE:,} units, which no machine holds: make them fewer."


def _tokenizer_problems(name: str, block: BertTokenizer) -> Iterator[str]:
    length = block.sequence_length
    if not MIN_SEQUENCE_LENGTH <= length <= MAX_SEQUENCE_LENGTH:
        nearest = MIN_SEQUENCE_LENGTH if length < MIN_SEQUENCE_LENGTH else MAX_SEQUENCE_LENGTH
        yield (
            f"{name} has sequence_length {length}, but it must lie between {MIN_SEQUENCE_LENGTH} and "
            f"{MAX_SEQUENCE_LENGTH}: set sequence_length={nearest}."
        )
    else:
        yield from _window_problems(name, block)
    if not block.vocabulary.strip():
        yield f"{name} has an empty vocabulary: give it a name such as 'multilingual-cased', or a folder."


def _window_problems(name: str, block: BertTokenizer) -> Iterator[str]:
    if block.windows == "truncate":
        idle = [option for option, value in _IDLE.items() if getattr(block, option) != value]
        if idle:
            yield f'{name} has {" and ".join(idle)}, without effect while texts are cut: set windows="slide".'
        return
    room = block.sequence_length - _SPECIAL_TOKENS
    if block.stride is not None and not 1 <= block.stride <= room:
        yield (
            f"{name} has stride {block.stride}, but windows of {block.sequence_length} tokens have room for "
            f"{room} of a text: a stride lies between 1 and {room}, or text would be left out."
        )


def _size_problems(name: str, block: BertEncoder) -> Iterator[str]:
    sizes = ("vocabulary_size", "num_layers", "num_heads", "hidden_size", "intermediate_size")
    small = [option for option in sizes if getattr(block, option) < 1]
    for option in small:
        yield f"{name} has {option} {getattr(block, option)}, but it must be at least 1."
    large = [option for option in sizes if getattr(block, option) > _LIMITS.get(option, MAX_SIZE)]
    for option in large:
        yield f"{name} has {option} above {_LIMITS.get(option, MAX_SIZE):,}: make it smaller."
    if not (small or large) and block.hidden_size % block.num_heads:
        whole = max(block.num_heads, block.hidden_size // block.num_heads * block.num_heads)
        yield (
            f"{name} has hidden_size {block.hidden_size}, which {block.num_heads} heads cannot share "
            f"equally: set hidden_size={whole}, or another num_heads."
        )
