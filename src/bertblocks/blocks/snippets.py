"""Ready-made graphs: complete models from a text column to a target."""

from __future__ import annotations

from typing import Literal, get_args

from bertblocks.blocks.blocks import (
    BertPooler,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    EncoderBlock,
    EnglishBertEncoder,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MultilingualBertEncoder,
    Output,
    PretrainedBertEncoder,
    Target,
    TextInput,
    Windowing,
    WindowPooling,
)
from bertblocks.blocks.graph import Graph
from bertblocks.blocks.task import Task
from bertblocks.errors import ConfigError

PoolingName = Literal["cls", "average", "max"]


def text_model(
    *,
    task: Task,
    encoder: str,
    text: str = "text",
    text_pair: str | None = None,
    target: str = "target",
    pooling: PoolingName = "cls",
    sequence_length: int = 512,
    windows: Windowing = "truncate",
    stride: int | None = None,
    window_pooling: WindowPooling = "average",
    dropout: float = 0.1,
    trainable: bool = True,
) -> Graph:
    """A model for classification or regression: input → tokenizer → encoder → pooling → dense → target.

    With "cls" pooling BERT's own pooler (dense, tanh) stands before the last dense layer, as in Google's and
    Hugging Face's sequence classification.

    Args:
        task: What to predict; fixes the units and activation of the last dense layer.
        encoder: A named encoder, `org/name` on the hub, or a folder.
        text: Column of texts.
        text_pair: Column of second texts, for pairs.
        target: Column to predict.
        pooling: How token vectors become one vector.
        sequence_length: Most tokens of a text, or of a window.
        windows: "slide" reads longer texts in overlapping windows, see BertTokenizer.
        stride: See BertTokenizer.
        window_pooling: See BertTokenizer.
        dropout: Rate before the last dense layer, while training.
        trainable: False freezes the encoder.

    Raises:
        GraphError: If an option is out of range, or target is one of the text columns.
        ConfigError: If the pooling is unknown.
    """
    if pooling not in get_args(PoolingName):
        raise ConfigError(f"pooling is {pooling!r}, but must be one of {', '.join(get_args(PoolingName))}.")
    columns = [text] if text_pair is None else [text, text_pair]
    return Graph(
        [
            *(TextInput(column) for column in columns),
            BertTokenizer(
                vocabulary=encoder,
                sequence_length=sequence_length,
                windows=windows,
                stride=stride,
                window_pooling=window_pooling,
            ),
            _encoder_block(encoder, "cls" if pooling == "cls" else "sequence", trainable),
            _pooling_block(pooling),
            Dropout(dropout),
            Dense(task.num_outputs, activation=task.activation),
            Target(target, task=task.kind),
        ]
    )


def _pooling_block(pooling: PoolingName) -> Block:
    if pooling == "average":
        return GlobalAveragePooling1D()
    return GlobalMaxPooling1D() if pooling == "max" else BertPooler()


def _encoder_block(weights: str, output: Output, trainable: bool) -> EncoderBlock:
    if weights in {"multilingual-cased", "mini"}:
        return MultilingualBertEncoder(weights=weights, output=output, trainable=trainable)
    if weights == "english-uncased":
        return EnglishBertEncoder(weights=weights, output=output, trainable=trainable)
    return PretrainedBertEncoder(weights=weights, output=output, trainable=trainable)
