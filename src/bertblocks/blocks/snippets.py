"""Ready-made graphs: complete models from a text column to a target."""

from __future__ import annotations

from collections.abc import Sequence
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
from bertblocks.blocks.check_sizes import EXPECTED_ACTIVATIONS
from bertblocks.blocks.field_types import nearest
from bertblocks.blocks.graph import Graph
from bertblocks.blocks.task import Task, TaskKind
from bertblocks.errors import ConfigError

PoolingName = Literal["cls", "average", "max"]
_PretrainedClass = type[MultilingualBertEncoder] | type[EnglishBertEncoder] | type[PretrainedBertEncoder]


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
    return _model(
        task.kind,
        task.num_outputs,
        [text] if text_pair is None else [text, text_pair],
        BertTokenizer(
            vocabulary=encoder,
            sequence_length=sequence_length,
            windows=windows,
            stride=stride,
            window_pooling=window_pooling,
        ),
        _encoder_class(encoder)(weights=encoder, output=_output(pooling), trainable=trainable),
        pooling,
        Dropout(dropout),
        target,
    )


def multilingual_bert(
    *,
    task: TaskKind = "classification",
    classes: int | None = None,
    labels: Sequence[str] | None = None,
    weights: str = "multilingual-cased",
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
    """Multilingual BERT for a task: texts in about a hundred languages → a prediction.

    Args:
        task: "classification" (one of several classes), "binary" (yes or no), "multilabel" (any number of
            labels) or "regression" (a number).
        classes: How many classes or labels there are; for classification and multilabel alone.
        labels: The classes or labels themselves, in place of their number.
        weights: "multilingual-cased", "mini" (ships inside the package, works offline), or a folder.
        text: Column of texts.
        text_pair: Column of second texts, for pairs.
        target: Column to predict.
        pooling: How token vectors become one vector: "cls" (with BERT's own pooler), "average" or "max".
        sequence_length: Most tokens of a text, or of a window, 3 to 512.
        windows: "slide" reads longer texts in overlapping windows, see BertTokenizer.
        stride: See BertTokenizer.
        window_pooling: See BertTokenizer.
        dropout: Rate before the last dense layer, while training.
        trainable: False freezes the encoder.

    Raises:
        GraphError: If an option is out of range, or target is one of the text columns.
        ConfigError: If task or pooling is unknown, or classes and labels do not fit the task.
    """
    return _model(
        task,
        _num_outputs(task, classes, labels),
        [text] if text_pair is None else [text, text_pair],
        BertTokenizer(
            vocabulary=weights,
            sequence_length=sequence_length,
            windows=windows,
            stride=stride,
            window_pooling=window_pooling,
        ),
        MultilingualBertEncoder(weights=weights, output=_output(pooling), trainable=trainable),
        pooling,
        Dropout(dropout),
        target,
    )


def english_bert(
    *,
    task: TaskKind = "classification",
    classes: int | None = None,
    labels: Sequence[str] | None = None,
    weights: str = "english-uncased",
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
    """English BERT for a task; the options are `multilingual_bert`'s.

    Args:
        task: See `multilingual_bert`.
        classes: See `multilingual_bert`.
        labels: See `multilingual_bert`.
        weights: "english-uncased", or a folder.
        text: Column of texts.
        text_pair: Column of second texts, for pairs.
        target: Column to predict.
        pooling: "cls", "average" or "max".
        sequence_length: Most tokens of a text, or of a window, 3 to 512.
        windows: "slide" reads longer texts in overlapping windows, see BertTokenizer.
        stride: See BertTokenizer.
        window_pooling: See BertTokenizer.
        dropout: Rate before the last dense layer, while training.
        trainable: False freezes the encoder.

    Raises:
        GraphError: If an option is out of range, or target is one of the text columns.
        ConfigError: If task or pooling is unknown, or classes and labels do not fit the task.
    """
    return _model(
        task,
        _num_outputs(task, classes, labels),
        [text] if text_pair is None else [text, text_pair],
        BertTokenizer(
            vocabulary=weights,
            sequence_length=sequence_length,
            windows=windows,
            stride=stride,
            window_pooling=window_pooling,
        ),
        EnglishBertEncoder(weights=weights, output=_output(pooling), trainable=trainable),
        pooling,
        Dropout(dropout),
        target,
    )


def _model(
    kind: TaskKind,
    num_outputs: int,
    columns: Sequence[str],
    tokenizer: BertTokenizer,
    encoder: EncoderBlock,
    pooling: PoolingName,
    dropout: Dropout,
    target: str,
) -> Graph:
    return Graph(
        [
            *(TextInput(column) for column in columns),
            tokenizer,
            encoder,
            pooling_block(pooling),
            dropout,
            Dense(num_outputs, activation=EXPECTED_ACTIVATIONS[kind]),
            Target(target, task=kind),
        ]
    )


def _output(pooling: PoolingName) -> Output:
    """The encoder's output that a pooling reads."""
    if pooling not in get_args(PoolingName):
        raise ConfigError(f"pooling is {pooling!r}, but must be one of {', '.join(get_args(PoolingName))}.")
    return "cls" if pooling == "cls" else "sequence"


def _num_outputs(task: TaskKind, classes: int | None, labels: Sequence[str] | None) -> int:
    """Units of the last dense layer, from exactly as much as the task needs to know."""
    if task not in get_args(TaskKind):
        kinds = get_args(TaskKind)
        raise ConfigError(f"task is {task!r}, but must be one of {', '.join(kinds)}{nearest(task, kinds)}.")
    if task in ("binary", "regression"):
        if classes is not None or labels is not None:
            raise ConfigError(
                f"A {task} task has no classes to count: leave out classes and labels, or set "
                'task="classification".'
            )
        return 2 if task == "binary" else 1
    if (classes is None) == (labels is None):
        raise ConfigError(f"A {task} task needs classes=N or labels=[...], one of the two.")
    if isinstance(labels, str):
        raise ConfigError(f"labels is the text {labels!r}, but must be a list of texts.")
    least = 2 if task == "classification" else 1
    count = classes if classes is not None else len(set(labels or ()))
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise ConfigError(f"A {task} task needs at least {least} different classes, found {count!r}.")
    if labels is not None and count != len(labels):
        raise ConfigError(
            f"labels has {len(labels)} entries, but only {count} different ones: remove repeats."
        )
    return count


def pooling_block(pooling: PoolingName) -> Block:
    """The block that makes one vector of what the encoder gives; for "cls" BERT's own pooler."""
    if pooling == "average":
        return GlobalAveragePooling1D()
    return GlobalMaxPooling1D() if pooling == "max" else BertPooler()


def _encoder_class(weights: str) -> _PretrainedClass:
    if weights in {"multilingual-cased", "mini"}:
        return MultilingualBertEncoder
    return EnglishBertEncoder if weights == "english-uncased" else PretrainedBertEncoder
