"""Whether a graph's parts fit each other and the task, once their files are at hand."""

from __future__ import annotations

from pathlib import Path

from bertblocks.blocks import BertTokenizer, Dense, Graph, Task, block_sizes
from bertblocks.checkpoints import resolve_encoder
from bertblocks.encoder import EncoderConfig
from bertblocks.errors import GraphError
from bertblocks.text import TOKENIZER_NAMES, Tokenizer, load_tokenizer


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


def check_fit(tokenizer: Tokenizer | None, config: EncoderConfig) -> None:
    """Refuse a tokenizer whose ids or lengths the encoder has no rows for.

    Raises:
        GraphError: If the vocabulary or the sequence length is too large; both at once.
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
    if problems:
        raise GraphError("Tokenizer and encoder do not fit: " + "; ".join(problems) + ".")


def _tokenizer_source(vocabulary: str) -> str | Path:
    """Shipped vocabularies by name, so that no weights are fetched for them; else the encoder's folder."""
    return vocabulary if vocabulary in TOKENIZER_NAMES else resolve_encoder(vocabulary)
