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
    snippets,
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


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ({"classes": 7}, Dense(7, activation="softmax")),
        ({"labels": ["a", "b", "c"]}, Dense(3, activation="softmax")),
        ({"task": "binary"}, Dense(2, activation="softmax")),
        ({"task": "multilabel", "classes": 1}, Dense(1, activation="sigmoid")),
        ({"task": "regression"}, Dense(1)),
    ],
)
@pytest.mark.parametrize("snippet", [snippets.multilingual_bert, snippets.english_bert])
def test_a_snippet_for_every_task(snippet, options, last):
    graph = snippet(**options)
    assert graph.head == (BertPooler(), Dropout(0.1), last)
    assert graph.target == Target("target", task=options.get("task", "classification"))


def test_the_snippets_take_every_option():
    graph = snippets.multilingual_bert(
        task="regression",
        weights="mini",
        text="a",
        text_pair="b",
        target="stars",
        pooling="max",
        sequence_length=64,
        dropout=0.2,
        trainable=False,
    )
    assert graph.blocks == (
        TextInput("a"),
        TextInput("b"),
        BertTokenizer(vocabulary="mini", sequence_length=64),
        MultilingualBertEncoder(weights="mini", output="sequence", trainable=False),
        GlobalMaxPooling1D(),
        Dropout(0.2),
        Dense(1),
        Target("stars", task="regression"),
    )
    assert snippets.multilingual_bert(classes=2).encoder == MultilingualBertEncoder()
    assert snippets.english_bert(classes=2).encoder == EnglishBertEncoder()
    assert snippets.english_bert(classes=2).tokenizer == BertTokenizer(vocabulary="english-uncased")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "A classification task needs classes=N or labels=[...], one of the two."),
        ({"classes": 2, "labels": ["a", "b"]}, "needs classes=N or labels=[...], one of the two."),
        ({"task": "multilabel"}, "A multilabel task needs classes=N or labels=[...]"),
        ({"task": "binary", "classes": 2}, "A binary task has no classes to count: leave out classes"),
        ({"task": "regression", "labels": ["a"]}, "A regression task has no classes to count"),
        ({"task": "yes-no"}, "task is 'yes-no', but must be one of classification, binary,"),
        ({"task": "multi-label", "classes": 3}, "(did you mean 'multilabel'?)"),
        ({"classes": 1}, "needs at least 2 different classes, found 1"),
        ({"classes": "7"}, "needs at least 2 different classes, found '7'"),
        ({"labels": "abc"}, "labels is the text 'abc', but must be a list of texts."),
        ({"labels": ["a", "b", "a"]}, "labels has 3 entries, but only 2 different ones: remove repeats."),
        ({"classes": 3, "pooling": "mean"}, "pooling is 'mean', but must be one of cls, average, max."),
    ],
)
def test_a_snippet_says_what_it_needs(options, problem):
    with pytest.raises(ConfigError) as caught:
        snippets.multilingual_bert(**options)
    assert problem in str(caught.value)
