from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertblocks.blocks import (
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Dense,
    Dropout,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Graph,
    MultilingualBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
)
from bertblocks.errors import GraphError

GOOD = Graph(
    [
        TextInput("review"),
        BertTokenizer(),
        MultilingualBertEncoder(),
        Dense(7, activation="softmax"),
        Target("topic"),
    ]
)


def entry_of(**changes: object) -> dict[str, object]:
    """The JSON of the good graph with other entries in its block for the tokenizer."""
    data = GOOD.to_json()
    data["blocks"][1].update(changes)
    return data


def without(key: str) -> dict[str, object]:
    """The JSON of the good graph, its tokenizer without a key."""
    data = GOOD.to_json()
    del data["blocks"][1][key]
    return data


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        ({}, 'It should be an object {"blocks": [...]}'),
        (None, "It should be an object"),
        ([], "It should be an object"),
        ({"blocks": 3}, "It should be an object"),
        ({"blocks": ["TextInput"]}, "Block 0 is 'TextInput', but should be an object with the keys ['name',"),
        ({"blocks": [{"block": "TextInput"}]}, "Block 0 lacks the keys ['name', 'inputs', 'options']"),
        (without("inputs"), "Block 1 lacks the keys ['inputs']"),
        (entry_of(options=["ab"]), "Block 1 (BertTokenizer) has options that are no object: ['ab']"),
        (entry_of(block="GptTokenizer"), "the blocks are TextInput, TokenIdsInput, BertTokenizer"),
        (entry_of(block="BertTokeniser"), "(did you mean 'BertTokenizer'?)"),
        (entry_of(block=["x"]), "Block 1 is of the unknown kind ['x']"),
        (
            entry_of(options={"sequence_lenght": 9}),
            "Block 1 (BertTokenizer) has no option 'sequence_lenght'; its options are ['vocabulary', "
            "'sequence_length', 'windows', 'stride', 'window_pooling'] (did you mean 'sequence_length'?).",
        ),
        (entry_of(options={"sequence_length": 2}), "BertTokenizer has sequence_length 2"),
        (entry_of(options={"sequence_length": None}), "BertTokenizer: sequence_length is None"),
        (entry_of(block="Dense", options={}), "Block 1 (Dense) lacks the option 'units'."),
        (
            entry_of(inputs=["Dense"]),
            "BertTokenizer has the inputs ['Dense'], but only chains can be read: write ['TextInput'].",
        ),
        (entry_of(name="TextInput"), "Block 1 is named 'TextInput', but must be named 'BertTokenizer'."),
        (entry_of(comment="mine"), "Block 1 has the unknown key 'comment'; its keys are ['name',"),
        ({**GOOD.to_json(), "version": 2}, "found also ['version']: remove them"),
    ],
)
def test_json_that_is_no_graph_is_refused(data, fragment):
    with pytest.raises(GraphError) as caught:
        Graph.from_json(data)
    assert fragment in str(caught.value)


def test_every_problem_of_the_json_is_told():
    data = GOOD.to_json()
    data["blocks"][0]["block"] = "TextImput"
    data["blocks"][3]["options"]["unit"] = 3
    with pytest.raises(GraphError) as caught:
        Graph.from_json(data)
    assert str(caught.value).count("did you mean") == 2


def test_an_option_that_json_leaves_out_has_its_default():
    options = [block["options"] for block in GOOD.to_json()["blocks"]]
    assert options == [
        {"column": "review"},
        {},
        {},
        {"units": 7, "activation": "softmax"},
        {"column": "topic"},
    ]
    assert Graph.from_json(entry_of(options={"vocabulary": "multilingual-cased"})) == GOOD


columns = st.text(min_size=1).filter(str.strip)
hidden = st.one_of(
    st.builds(Dropout, st.floats(0, 0.99)),
    st.builds(BertPooler, trainable=st.booleans()),
    st.builds(
        Dense,
        st.integers(1, 10**6),
        activation=st.sampled_from(["linear", "relu", "tanh", "gelu", "sigmoid"]),
        trainable=st.booleans(),
    ),
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any graph of random weights."""
    names = draw(st.lists(columns, min_size=2, max_size=3, unique=True))
    pooling = draw(st.sampled_from([(), (GlobalAveragePooling1D(),), (GlobalMaxPooling1D(),)]))
    heads = draw(st.integers(1, 12))
    encoder = BertEncoder(
        vocabulary_size=draw(st.integers(119_547, 10**6)),
        num_layers=draw(st.integers(1, 24)),
        num_heads=heads,
        hidden_size=heads * draw(st.integers(1, 64)),
        output="sequence" if pooling else "cls",
        trainable=draw(st.booleans()),
    )
    texts = [*map(TextInput, names[:-1]), BertTokenizer(sequence_length=draw(st.integers(5, 512)))]
    inputs = texts if draw(st.booleans()) else [TokenIdsInput(names[0])]
    last = Dense(draw(st.integers(2, 9)), activation="softmax")
    return Graph([*inputs, encoder, *pooling, *draw(st.lists(hidden, max_size=3)), last, Target(names[-1])])


@given(graphs())
def test_json_brings_any_graph_back(graph):
    assert Graph.from_json(json.loads(json.dumps(graph.to_json()))) == graph


def test_a_file_brings_a_graph_back(tmp_path):
    path = tmp_path / "deeper" / "graph.json"
    graph = dataclasses.replace(GOOD, blocks=(TextInput("Überschrift 題"), *GOOD.blocks[1:]))
    graph.save(path)
    assert Graph.load(path) == graph
    assert "Überschrift 題" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "is not a graph in JSON and UTF-8"),
        (b"{'blocks': []}", "is not a graph in JSON and UTF-8"),
        (b"\xff\xfe{}", "is not a graph in JSON and UTF-8"),
        (b"[" * 100_000, "is nested too deep to be a graph"),
        (b" " * 1_000_001, "has 1,000,001 bytes, but a graph has at most 1,000,000"),
        (b'{"blocks": [], "blocks": []}', "a key is repeated among ['blocks', 'blocks']"),
        (b'{"blocks": []}', "A graph of no blocks"),
    ],
)
def test_a_file_that_is_no_graph_is_refused(tmp_path, content, fragment):
    path = tmp_path / "graph.json"
    path.write_bytes(content)
    with pytest.raises(GraphError) as caught:
        Graph.load(path)
    assert fragment in str(caught.value) and str(caught.value).startswith(str(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(GraphError, match=r"is no file; Graph\.save writes one"):
        Graph.load(tmp_path)
