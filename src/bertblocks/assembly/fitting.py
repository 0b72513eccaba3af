"""Whether a graph's parts fit each other and the task, once their files are at hand."""

from __future__ import annotations

import os
from pathlib import Path

from bertblocks.blocks import BertEncoder, BertTokenizer, Dense, Graph, Task, block_sizes
from bertblocks.checkpoints import resolve_encoder
from bertblocks.encoder import EncoderConfig
from bertblocks.errors import GraphError
from bertblocks.text import TOKENIZER_NAMES, Tokenizer, load_tokenizer

_FLOAT32_BYTES = 4
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt")


def check_task(graph: Graph, task: Task) -> None:
    """Refuse a graph that ends otherwise than its task needs.

    Raises:
        GraphError: If the last dense layer or the target does not fit; both at once.
    """
    problems = []
    if graph.target.task != task.kind:
        problems.append(
            f"Target has task={graph.target.task!r}, but what is to be predicted is a {task.kind}: set "
            f"task={task.kind!r}."
        )
    last = graph.head[-1]
    if isinstance(last, Dense) and last.units != task.num_outputs:
        labels = f", one a label ({', '.join(task.labels[:5])}" if task.labels else ""
        labels += ", ...)" if len(task.labels) > 5 else ")" if labels else ""
        name = next(size.name for size in reversed(block_sizes(graph.blocks)) if size.block == last)
        problems.append(
            f"{name} gives {last.units} numbers, but the task needs {task.num_outputs}{labels}: set "
            f'Dense({task.num_outputs}, activation="{task.activation}").'
        )
    if problems:
        raise GraphError("The graph does not fit its task: " + " ".join(problems))


def load_block_tokenizer(block: BertTokenizer) -> Tokenizer:
    """The tokenizer that a block names.

    Raises:
        CheckpointError: If the vocabulary cannot be found or read.
    """
    tokenizer = load_tokenizer(_tokenizer_source(block.vocabulary), sequence_length=block.sequence_length)
    return tokenizer.with_windows(block.windows, block.stride)


def check_fit(tokenizer: Tokenizer | None, config: EncoderConfig, *, pair: bool = False) -> None:
    """Refuse a tokenizer whose ids or lengths the encoder has no rows for, or that leaves a text no room.

    Args:
        tokenizer: None where token ids go in.
        config: The encoder's sizes.
        pair: Whether rows are pairs of texts.

    Raises:
        GraphError: If the vocabulary is too large, or the sequence length too large or too small; all at
            once.
    """
    problems: list[str] = []
    if tokenizer is None:
        return
    if tokenizer.vocabulary_size > config.vocab_size:
        problems.append(
            f"the tokenizer has {tokenizer.vocabulary_size} ids, the encoder only {config.vocab_size} rows: "
            "take the vocabulary of the encoder's own folder"
        )
    if tokenizer.sequence_length > config.max_sequence_length:
        problems.append(
            f"sequence_length is {tokenizer.sequence_length}, but the encoder's position table ends at "
            f"{config.max_sequence_length}: set sequence_length={config.max_sequence_length}"
        )
    special = tokenizer.num_special_tokens(pair)
    if tokenizer.sequence_length < (least := special + (2 if pair else 1)):
        problems.append(
            f"sequence_length is {tokenizer.sequence_length}, but this tokenizer puts {special} special "
            f"tokens around {'a pair' if pair else 'a text'}: set sequence_length={least} or more"
        )
    if problems:
        raise GraphError("Tokenizer and encoder do not fit: " + "; ".join(problems) + ".")


def check_vocabulary(graph: Graph, tokenizer: Tokenizer | None) -> None:
    """Refuse a vocabulary that the weights were not trained on, where their folder says which that is.

    Raises:
        GraphError: Names both, and the first token in which they differ.
        CheckpointError: If the folder's tokenizer cannot be read.
    """
    block = graph.tokenizer
    if tokenizer is None or block is None or isinstance(graph.encoder, BertEncoder):
        return
    weights = graph.encoder.weights
    if block.vocabulary == weights:
        return
    source = _tokenizer_source(weights)
    if isinstance(source, Path) and not any((source / name).is_file() for name in _TOKENIZER_FILES):
        return
    if difference := _difference(load_tokenizer(source), tokenizer):
        raise GraphError(
            f"{type(graph.encoder).__name__} has the weights {weights!r}, but BertTokenizer's vocabulary "
            f"{block.vocabulary!r} is another than they were trained on: {difference}. Set "
            f"vocabulary={weights!r} in BertTokenizer."
        )


def _difference(own: Tokenizer, other: Tokenizer) -> str | None:
    """What two vocabularies differ in, in words; None where they are the same."""
    if own.vocabulary_size != other.vocabulary_size:
        return f"theirs has {own.vocabulary_size:,} tokens, it has {other.vocabulary_size:,}"
    if own.casing != other.casing:
        return f"theirs is {own.casing}, it is {other.casing}"
    for index in range(own.vocabulary_size):
        if own.token(index) != other.token(index):
            return f"id {index} is {own.token(index)!r} in theirs and {other.token(index)!r} in it"
    return None


def check_memory(graph: Graph) -> None:
    """Refuse a graph whose declared parameters this machine cannot hold, before it tries.

    Raises:
        GraphError: Says how much they take, and which block is the largest.
    """
    sizes = [size for size in block_sizes(graph.blocks) if size.num_parameters]
    needed = _FLOAT32_BYTES * sum(size.num_parameters or 0 for size in sizes)
    memory = _memory_bytes()
    if memory is None or needed <= memory:
        return
    largest = max(sizes, key=lambda size: size.num_parameters or 0)
    raise GraphError(
        f"The graph's parameters take {needed / 2**30:,.0f} GiB, and this machine has {memory / 2**30:,.0f}: "
        f"make {largest.name} smaller, which has {largest.num_parameters:,} of them."
    )


def _memory_bytes() -> int | None:
    """The machine's memory; None where the system does not say, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _tokenizer_source(vocabulary: str) -> str | Path:
    """Shipped vocabularies by name, so that no weights are fetched for them; else the encoder's folder."""
    return vocabulary if vocabulary in TOKENIZER_NAMES else resolve_encoder(vocabulary)
