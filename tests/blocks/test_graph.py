from __future__ import annotations

import json
import pickle
import subprocess
import sys
import warnings

import pytest

from bertblocks.blocks import (
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Block,
    Dense,
    Dropout,
    EnglishBertEncoder,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Graph,
    MultilingualBertEncoder,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    block_names,
)

TEXT, TOKENIZER, ENCODER = TextInput("review"), BertTokenizer(), MultilingualBertEncoder()
HEAD, TARGET = Dense(7, activation="softmax"), Target("topic")
GOOD = [TEXT, TOKENIZER, ENCODER, HEAD, TARGET]
SMALL = BertEncoder(vocabulary_size=50, num_layers=1, num_heads=2, hidden_size=8, intermediate_size=16)


def swapped(old: Block, *new: Block) -> list[Block]:
    """The good graph with other blocks in the place of one."""
    place = GOOD.index(old)
    return [*GOOD[:place], *new, *GOOD[place + 1 :]]


GOOD_GRAPHS = {
    "one text": GOOD,
    "two texts": [TextInput("question"), TextInput("answer"), *GOOD[1:]],
    "average": swapped(ENCODER, MultilingualBertEncoder(output="sequence"), GlobalAveragePooling1D()),
    "maximum": swapped(ENCODER, MultilingualBertEncoder(output="sequence"), GlobalMaxPooling1D()),
    "pooler and dropouts": swapped(HEAD, Dropout(0.5), BertPooler(), Dropout(0), HEAD),
    "token ids": [TokenIdsInput("ids"), SMALL, HEAD, TARGET],
    "binary": [*GOOD[:3], Dense(2, activation="softmax"), Target("spam", task="binary")],
    "labels": [*GOOD[:3], Dense(3, activation="sigmoid"), Target("tags", task="multilabel")],
    "one label": [*GOOD[:3], Dense(1, activation="sigmoid"), Target("tags", task="multilabel")],
    "number": [*GOOD[:3], Dense(9, activation="relu"), Dense(1), Target("stars", task="regression")],
    "english": [TEXT, BertTokenizer(vocabulary="english-uncased"), EnglishBertEncoder(), HEAD, TARGET],
    "own folder": [TEXT, BertTokenizer(vocabulary="a"), PretrainedBertEncoder(weights="b"), HEAD, TARGET],
    "own weights, known vocabulary": swapped(ENCODER, PretrainedBertEncoder(weights="a/folder")),
    "one block twice": swapped(HEAD, Dense(4), Dense(4), HEAD),
}


@pytest.mark.parametrize("blocks", GOOD_GRAPHS.values(), ids=GOOD_GRAPHS)
def test_json_brings_a_graph_back(blocks):
    graph = Graph(blocks)
    written = json.loads(json.dumps(graph.to_json()))
    assert Graph.from_json(written) == graph
    assert Graph.from_json(written).to_json() == graph.to_json()
    assert pickle.loads(pickle.dumps(graph)) == graph
    assert hash(pickle.loads(pickle.dumps(graph))) == hash(graph)


def test_json_names_every_block_and_its_inputs():
    graph = Graph([TextInput("a"), TextInput("b"), TOKENIZER, ENCODER, Dense(3), HEAD, TARGET])
    entries = graph.to_json()["blocks"]
    assert [(entry["name"], entry["inputs"]) for entry in entries] == [
        ("TextInput", []),
        ("TextInput_2", []),
        ("BertTokenizer", ["TextInput", "TextInput_2"]),
        ("MultilingualBertEncoder", ["BertTokenizer"]),
        ("Dense", ["MultilingualBertEncoder"]),
        ("Dense_2", ["Dense"]),
        ("Target", ["Dense_2"]),
    ]
    assert entries[5]["options"] == {"units": 7, "activation": "softmax"}


def test_parts_of_a_graph():
    graph = Graph([TextInput("a"), TextInput("b"), TOKENIZER, ENCODER, BertPooler(), Dropout(), HEAD, TARGET])
    assert graph.inputs == (TextInput("a"), TextInput("b"))
    assert graph.tokenizer is TOKENIZER and graph.encoder is ENCODER and graph.target is TARGET
    assert graph.head == (BertPooler(), Dropout(), HEAD)
    assert Graph([TokenIdsInput("ids"), SMALL, HEAD, TARGET]).tokenizer is None


@pytest.mark.parametrize(
    ("last", "target", "expected"),
    [
        (Dense(7), TARGET, "softmax"),
        (Dense(2, activation="sigmoid"), Target("spam", task="binary"), "softmax"),
        (Dense(3, activation="softmax"), Target("tags", task="multilabel"), "sigmoid"),
        (Dense(1, activation="relu"), Target("stars", task="regression"), "linear"),
    ],
)
def test_an_activation_that_is_not_used_is_a_warning(last, target, expected):
    with pytest.warns(UserWarning, match=f"set activation='{expected}'") as caught:
        graph = Graph([*GOOD[:3], last, target])
    assert str(last.activation) in str(caught[0].message)
    assert caught[0].filename == __file__, "the warning should point at the caller's line"
    assert graph.head == (last,)


def test_the_activation_that_is_used_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for blocks in GOOD_GRAPHS.values():
            Graph(blocks)


ALL = [*GOOD, TokenIdsInput("ids"), SMALL, EnglishBertEncoder(), PretrainedBertEncoder(weights="x/y")]
ALL += [GlobalAveragePooling1D(), GlobalMaxPooling1D(), BertPooler(), Dropout(0.2)]


@pytest.mark.parametrize("block", ALL, ids=lambda block: type(block).__name__)
def test_a_block_is_a_value(block):
    copy = pickle.loads(pickle.dumps(block))
    assert copy == block and hash(copy) == hash(block) and copy is not block
    assert eval(repr(block)) == block
    with pytest.raises(AttributeError):
        block.column = "other"


def test_blocks_of_different_options_differ():
    assert Dense(3) != Dense(4) and Dense(3) != Dense(3, activation="relu")
    assert TextInput("a") != TokenIdsInput("a") and Dropout() == Dropout(0.1)
    assert len({Dense(3), Dense(3), Dense(4)}) == 2


def test_names_are_numbered_where_blocks_repeat():
    blocks = [TextInput("a"), TextInput("b"), Dense(3), Dropout(), Dense(4), Dense(5)]
    expected = ["TextInput", "TextInput_2", "Dense", "Dropout", "Dense_2", "Dense_3"]
    assert block_names(blocks) == expected


def test_options_that_are_names_must_be_given_by_name():
    with pytest.raises(TypeError):
        Dense(3, "relu")
    with pytest.raises(TypeError):
        MultilingualBertEncoder("mini")


def test_blocks_need_the_standard_library_alone():
    code = (
        "import sys, bertblocks.blocks as b\n"
        "b.Graph([b.TextInput('t'), b.BertTokenizer(), b.MultilingualBertEncoder(),\n"
        "         b.Dense(2, activation='softmax'), b.Target('y')])\n"
        "foreign = {'torch', 'numpy', 'tokenizers', 'safetensors', 'pyarrow', 'sklearn', 'scipy'}\n"
        "sys.exit(', '.join(foreign & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
