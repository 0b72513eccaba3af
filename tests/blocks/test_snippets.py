from __future__ import annotations

import pytest

from bertblocks.blocks import (
    BertPooler,
    BertTokenizer,
    Dense,
    Dropout,
    EnglishBertEncoder,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    MultilingualBertEncoder,
    PretrainedBertEncoder,
    Target,
    Task,
    TextInput,
    text_model,
)
from bertblocks.errors import ConfigError, GraphError

TOPICS = Task(kind="classification", labels=("a", "b", "c"))


def test_the_standard_model():
    graph = text_model(task=TOPICS, encoder="mini", text="review", target="topic", sequence_length=64)
    assert graph.blocks == (
        TextInput("review"),
        BertTokenizer(vocabulary="mini", sequence_length=64),
        MultilingualBertEncoder(weights="mini"),
        BertPooler(),
        Dropout(0.1),
        Dense(3, activation="softmax"),
        Target("topic", task="classification"),
    )


@pytest.mark.parametrize(
    ("pooling", "output", "block"),
    [
        ("cls", "cls", BertPooler()),
        ("average", "sequence", GlobalAveragePooling1D()),
        ("max", "sequence", GlobalMaxPooling1D()),
    ],
)
def test_pooling(pooling, output, block):
    graph = text_model(task=TOPICS, encoder="a/folder", pooling=pooling, trainable=False)
    assert graph.encoder == PretrainedBertEncoder(weights="a/folder", output=output, trainable=False)
    assert graph.blocks[3] == block


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mini", MultilingualBertEncoder),
        ("multilingual-cased", MultilingualBertEncoder),
        ("english-uncased", EnglishBertEncoder),
        ("organisation/name", PretrainedBertEncoder),
    ],
)
def test_encoder_block_of_a_name(name, kind):
    assert text_model(task=TOPICS, encoder=name).encoder == kind(weights=name)


@pytest.mark.parametrize(
    ("task", "last"),
    [
        (Task(kind="binary", labels=("no", "yes")), Dense(2, activation="softmax")),
        (Task(kind="multilabel", labels=("x", "y", "z")), Dense(3, activation="sigmoid")),
        (Task(kind="regression"), Dense(1, activation="linear")),
    ],
)
def test_the_task_decides_the_last_layer(task, last):
    graph = text_model(task=task, encoder="mini", text="a", text_pair="b")
    assert graph.head[-1] == last and graph.target.task == task.kind
    assert graph.inputs == (TextInput("a"), TextInput("b"))


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="pooling is 'mean', but must be one of cls, average, max"):
        text_model(task=TOPICS, encoder="mini", pooling="mean")
    with pytest.raises(GraphError, match="sequence_length 1000"):
        text_model(task=TOPICS, encoder="mini", sequence_length=1000)
    with pytest.raises(GraphError, match="Target takes the column 'text', but TextInput has it already"):
        text_model(task=TOPICS, encoder="mini", target="text")
