"""The graph that a run from a table trains."""

from __future__ import annotations

from bertblocks.assembly import load_block_tokenizer
from bertblocks.blocks import (
    MAX_SEQUENCE_LENGTH,
    BertEncoder,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    Graph,
    Target,
    Task,
    TextInput,
    TokenIdsInput,
    pooling_block,
    text_model,
)
from bertblocks.checkpoints import encoder_defaults, resolve_encoder
from bertblocks.training.contradictions import RANDOM
from bertblocks.training.table_run import TableRun

# BERT-Base; and the proportions of all of BERT's sizes: heads 64 wide, the feed-forward 4 times the width.
_BASE_LAYERS, _BASE_WIDTH, _HEAD_WIDTH, _FEED_FORWARD_RATIO = 12, 768, 64, 4
# Stands for the task until the table has been read.
_ANY_TASK = Task(kind="regression")


def check_graph(run: TableRun) -> None:
    """Refuse sizes and columns that make no graph, and encoders that are not there, before the table is read.

    Raises:
        GraphError: Every problem at once.
        CheckpointError: If the encoder or the vocabulary cannot be found.
    """
    table_graph(run, _ANY_TASK)


def table_graph(run: TableRun, task: Task) -> Graph:
    """The run's own graph, or the ready-made one that its settings describe.

    Raises:
        GraphError: If the settings make no graph.
        CheckpointError: If the encoder or the vocabulary cannot be found or read.
    """
    if run.graph is not None:
        return run.graph
    if run.encoder == RANDOM:
        return _random_graph(run, task)
    defaults = encoder_defaults(resolve_encoder(run.encoder))
    return text_model(
        task=task,
        encoder=run.encoder,
        text=str(run.text),
        text_pair=run.text_pair,
        target=run.target,
        pooling=run.pooling or defaults.pooling,
        sequence_length=(defaults.sequence_length if run.sequence_length is None else run.sequence_length),
        windows=run.windows,
        stride=run.stride,
        window_pooling=run.window_pooling,
        trainable=not run.freeze_encoder,
    )


def _random_graph(run: TableRun, task: Task) -> Graph:
    pooling = run.pooling or "cls"
    front, vocabulary_size = _front(run)
    width = _BASE_WIDTH if run.hidden_size is None else run.hidden_size
    encoder = BertEncoder(
        vocabulary_size=vocabulary_size,
        num_layers=_BASE_LAYERS if run.layers is None else run.layers,
        num_heads=max(1, width // _HEAD_WIDTH) if run.heads is None else run.heads,
        hidden_size=width,
        intermediate_size=(
            _FEED_FORWARD_RATIO * width if run.intermediate_size is None else run.intermediate_size
        ),
        output="cls" if pooling == "cls" else "sequence",
    )
    return Graph(
        [
            *front,
            encoder,
            pooling_block(pooling),
            Dropout(0.1),
            Dense(task.num_outputs, activation=task.activation),
            Target(run.target, task=task.kind),
        ]
    )


def _front(run: TableRun) -> tuple[list[Block], int]:
    """The blocks before the encoder, and the size of the vocabulary that it needs."""
    if run.ids is not None:
        return [TokenIdsInput(run.ids)], run.vocabulary_size or 0
    length = MAX_SEQUENCE_LENGTH if run.sequence_length is None else run.sequence_length
    tokenizer = BertTokenizer(
        vocabulary=str(run.vocabulary),
        sequence_length=length,
        windows=run.windows,
        stride=run.stride,
        window_pooling=run.window_pooling,
    )
    columns = [column for column in (run.text, run.text_pair) if column is not None]
    # Any length will do for counting tokens; the graph refuses a wrong one, with all else that is wrong.
    counted = load_block_tokenizer(BertTokenizer(vocabulary=tokenizer.vocabulary))
    return [*map(TextInput, columns), tokenizer], counted.vocabulary_size
