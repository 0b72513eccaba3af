from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bertblocks.blocks import (
    BertEncoder,
    BertTokenizer,
    Dense,
    GlobalMaxPooling1D,
    Graph,
    MultilingualBertEncoder,
    Target,
    Task,
    TextInput,
)
from bertblocks.errors import ConfigError, GraphError
from bertblocks.training import TableRun, graph_settings
from bertblocks.training.table_graph import check_graph, table_graph
from tiny_ids import ids_graph

TEXTS: dict[str, Any] = {"table": "t.jsonl", "text": "review", "target": "stars", "output": "m"}
IDS: dict[str, Any] = {
    "table": "t.jsonl",
    "ids": "events",
    "vocabulary_size": 20,
    "encoder": "random",
    "target": "label",
    "output": "m",
}
RANDOM_TEXTS = {**TEXTS, "encoder": "random", "vocabulary": "english-uncased"}
TASK = Task(kind="classification", labels=("no", "yes"))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({**TEXTS, "text": None}, "neither text nor ids is given"),
        ({**IDS, "text": "review"}, "text and ids are both given"),
        ({**IDS, "text_pair": "second"}, "only texts make pairs"),
        ({**IDS, "sequence_length": 9}, "sequence_length has no effect on ids"),
        ({**IDS, "windows": "slide"}, "windows='slide' has no effect on ids"),
        ({**TEXTS, "windows": "slide", "text_pair": "b"}, "windows='slide' is for single texts"),
        ({**TEXTS, "stride": 9}, "stride has no effect while texts are cut: set windows='slide' too"),
        ({**TEXTS, "window_pooling": "max"}, "window_pooling has no effect while texts are cut"),
        ({**TEXTS, "windows": None}, "windows is None, but must be one of truncate, slide"),
        ({**TEXTS, "windows": "slide", "stride": 0.5}, "stride is 0.5, but must be a whole number"),
        ({**IDS, "encoder": "mini", "vocabulary_size": None}, "lists of integers go into encoder='random'"),
        ({**IDS, "vocabulary": "mini"}, "vocabulary has no effect on ids"),
        ({**IDS, "vocabulary_size": None}, "ids are given without vocabulary_size"),
        ({**IDS, "freeze_encoder": True}, "freeze_encoder would keep random weights"),
        ({**TEXTS, "encoder": "random"}, "name one with --vocabulary"),
        ({**RANDOM_TEXTS, "vocabulary_size": 9}, "vocabulary_size has no effect on texts"),
        ({**TEXTS, "layers": 2, "vocabulary": "mini"}, "vocabulary, layers cannot be chosen, since"),
        ({**IDS, "layers": "2"}, "layers is '2', but must be a whole number or null"),
        ({**IDS, "hidden_size": True}, "hidden_size is True"),
        ({**IDS, "graph": {"blocks": []}}, "but must be a graph or null"),
    ],
)
def test_contradictions(settings, message):
    with pytest.raises(ConfigError) as error:
        TableRun(**settings)
    assert message in str(error.value)


def test_all_contradictions_are_told_at_once():
    with pytest.raises(ConfigError, match=r"both given.*make pairs.*would keep.*without vocabulary_size"):
        TableRun(**{**IDS, "text": "a", "text_pair": "b", "freeze_encoder": True, "vocabulary_size": None})


def test_what_a_graph_decides():
    pairs = Graph(
        [
            TextInput("a"),
            TextInput("b"),
            BertTokenizer(vocabulary="mini", sequence_length=32),
            MultilingualBertEncoder(weights="mini", output="sequence", trainable=False),
            GlobalMaxPooling1D(),
            Dense(1),
            Target("score", task="regression"),
        ]
    )
    decided = graph_settings(pairs)
    expected = {
        "text": "a",
        "text_pair": "b",
        "target": "score",
        "task": "regression",
        "encoder": "mini",
        "pooling": "max",
        "sequence_length": 32,
        "windows": "truncate",
        "window_pooling": "average",
        "freeze_encoder": True,
    }
    assert {name: value for name, value in decided.items() if value is not None} == expected
    ids = {"ids": "events", "encoder": "random", "vocabulary_size": 20, "layers": 1, "heads": 2}
    assert ids.items() <= graph_settings(ids_graph()).items()


@pytest.mark.parametrize(
    "name, value",
    [
        ("ids", None),
        ("text", "a"),
        ("target", "y"),
        ("pooling", "max"),
        ("layers", 2),
        ("freeze_encoder", True),
    ],
)
def test_settings_beside_a_graph_must_agree(name, value):
    run = TableRun(table="t", output="m", graph=ids_graph(), **graph_settings(ids_graph()))
    with pytest.raises(ConfigError, match=f"{name} is .*, but the graph decides it, and (says|has)"):
        replace(run, **{name: value})


@pytest.mark.parametrize("settings", [IDS, RANDOM_TEXTS])
def test_runs_survive_json(settings):
    run = TableRun(**settings)
    assert TableRun.from_json(run.to_json()) == run
    with_graph = TableRun(table="t", output="m", graph=ids_graph(), **graph_settings(ids_graph()))
    assert TableRun.from_json(with_graph.to_json()) == with_graph


def test_a_record_from_before_there_were_ids_can_be_read():
    settings = TableRun(**TEXTS).to_json()
    for name in ("ids", "graph", "vocabulary", "vocabulary_size", "layers", "heads", "hidden_size"):
        del settings[name]
    assert TableRun.from_json(settings) == TableRun(**TEXTS)


def test_sizes_follow_bert():
    assert table_graph(TableRun(**IDS), TASK).encoder == BertEncoder(vocabulary_size=20)
    small = table_graph(TableRun(**{**IDS, "hidden_size": 128, "layers": 2}), TASK).encoder
    assert small == BertEncoder(
        vocabulary_size=20, num_layers=2, num_heads=2, hidden_size=128, intermediate_size=512
    )


def test_random_weights_take_the_size_of_their_texts_vocabulary():
    graph = table_graph(TableRun(**{**RANDOM_TEXTS, "text_pair": "b", "pooling": "average"}), TASK)
    assert isinstance(graph.encoder, BertEncoder) and graph.encoder.vocabulary_size == 30_522
    assert graph.tokenizer == BertTokenizer(vocabulary="english-uncased")
    assert [block.column for block in graph.inputs] == ["review", "b"]


def test_sizes_that_make_no_graph_are_told_before_the_table_is_read():
    run = TableRun(**{**RANDOM_TEXTS, "layers": 0, "heads": 5, "sequence_length": 2, "target": "review"})
    with pytest.raises(GraphError) as error:
        check_graph(run)
    for part in ("num_layers 0", "sequence_length 2", "takes the column 'review', but TextInput has it"):
        assert part in str(error.value)
    with pytest.raises(GraphError, match="vocabulary_size -1"):
        check_graph(TableRun(**{**IDS, "vocabulary_size": -1}))
