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
from bertblocks.errors import GraphError

TEXT, TOKENIZER, ENCODER = TextInput("review"), BertTokenizer(), MultilingualBertEncoder()
HEAD, TARGET = Dense(7, activation="softmax"), Target("topic")
GOOD = [TEXT, TOKENIZER, ENCODER, HEAD, TARGET]
SMALL = BertEncoder(vocabulary_size=50, num_layers=1, num_heads=2, hidden_size=8, intermediate_size=16)


def problems_of(blocks: list[Block]) -> list[str]:
    with pytest.raises(GraphError) as caught:
        Graph(blocks)
    first, *lines = str(caught.value).split("\n")
    assert first == "The blocks cannot be joined:"
    assert all(line.startswith("- ") and line.endswith(".") for line in lines)
    return [line.removeprefix("- ") for line in lines]


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


BROKEN = {
    "no blocks": ([], ["The first block must be a TextInput or a TokenIdsInput"]),
    "no input": (GOOD[1:], ["The first block must be a TextInput"]),
    "no encoder": ([TEXT, TOKENIZER, HEAD, TARGET], ["exactly one encoder block"]),
    "two encoders": (swapped(ENCODER, ENCODER, ENCODER), ["exactly one encoder block"]),
    "no target": (GOOD[:-1], ["The last block must be a Target"]),
    "target inside": (
        [*GOOD[:4], TARGET, HEAD],
        ["Target gives a prediction, but Dense_2 accepts a vector", "nothing may follow a Target"],
    ),
    "no tokenizer": (
        [TEXT, ENCODER, HEAD, TARGET],
        ["TextInput gives text, but MultilingualBertEncoder accepts tokens; put a BertTokenizer between"],
    ),
    "three texts": (
        [TextInput("a"), TextInput("b"), *GOOD],
        ["TextInput_2 gives text, but TextInput_3 accepts nothing", "at most two text inputs"],
    ),
    "a tokenizer after ids": (
        [TokenIdsInput("ids"), TOKENIZER, ENCODER, HEAD, TARGET],
        ["TokenIdsInput gives tokens, but BertTokenizer accepts text", "a tokenizer follows a TextInput"],
    ),
    "sequence into dense": (
        swapped(ENCODER, MultilingualBertEncoder(output="sequence")),
        [
            "MultilingualBertEncoder gives a sequence of vectors, but Dense accepts a vector",
            "a Sequence output may only feed GlobalAveragePooling1D() or GlobalMaxPooling1D()",
            'set output="cls"',
        ],
    ),
    "pooling of one vector": (
        swapped(ENCODER, ENCODER, GlobalMaxPooling1D()),
        ["GlobalMaxPooling1D accepts a sequence of vectors", 'right after an encoder with output="sequence"'],
    ),
    "pooling of tokens": (
        swapped(ENCODER, GlobalAveragePooling1D(), MultilingualBertEncoder()),
        ["BertTokenizer gives tokens, but GlobalAveragePooling1D accepts", "right after an encoder"],
    ),
    "dense of tokens": (
        swapped(ENCODER, Dense(3), ENCODER),
        ["BertTokenizer gives tokens, but Dense accepts a vector; put an encoder between them"],
    ),
    "tokenizer after encoder": (
        [*GOOD[:3], BertTokenizer(), *GOOD[3:]],
        ["MultilingualBertEncoder gives a vector, but BertTokenizer_2 accepts text"],
    ),
    "ids into pretrained weights": (
        [TokenIdsInput("ids"), ENCODER, HEAD, TARGET],
        ["MultilingualBertEncoder reads the ids of its own vocabulary: put BertTokenizer() before it"],
    ),
    "another vocabulary": (
        swapped(ENCODER, MultilingualBertEncoder(weights="mini")),
        ["has the weights 'mini', but BertTokenizer has the vocabulary 'multilingual-cased'; set"],
    ),
    "a folder with a named vocabulary": (
        swapped(ENCODER, MultilingualBertEncoder(weights="my/folder")),
        ["set vocabulary='my/folder'"],
    ),
    "another vocabulary of any encoder": (
        swapped(ENCODER, PretrainedBertEncoder(weights="mini")),
        ["PretrainedBertEncoder has the weights 'mini', but", "set vocabulary='mini'"],
    ),
    "another language": (
        swapped(ENCODER, MultilingualBertEncoder(weights="english-uncased")),
        ["MultilingualBertEncoder cannot have the weights 'english-uncased'"],
    ),
    "a multilingual english": (
        [TEXT, BertTokenizer(vocabulary="mini"), EnglishBertEncoder(weights="mini"), HEAD, TARGET],
        ["EnglishBertEncoder cannot have the weights 'mini'"],
    ),
    "short sequence": (
        swapped(TOKENIZER, BertTokenizer(sequence_length=2)),
        ["BertTokenizer has sequence_length 2, but it must lie between 3 and 512"],
    ),
    "long sequence": (swapped(TOKENIZER, BertTokenizer(sequence_length=513)), ["between 3 and 512"]),
    "empty column": (swapped(TEXT, TextInput("")), ["TextInput has an empty column name"]),
    "target among the texts": (
        swapped(TARGET, Target("review")),
        ["TextInput and Target both take the column 'review'; give each its own"],
    ),
    "one text twice": ([TEXT, *GOOD], ["TextInput and TextInput_2 both take the column 'review'"]),
    "no units": (swapped(HEAD, Dense(0), HEAD), ["Dense has 0 units, but needs at least 1"]),
    "all dropped": (swapped(HEAD, Dropout(1.0), HEAD), ["Dropout has rate 1.0, but it must lie in [0, 1)"]),
    "no head": ([TEXT, TOKENIZER, ENCODER, TARGET], ["The block before Target must be a Dense layer"]),
    "dropout last": (swapped(TARGET, Dropout(), TARGET), ["The block before Target must be a Dense layer"]),
    "binary with seven": (
        swapped(TARGET, Target("topic", task="binary")),
        ["The last Dense has 7 units, but a binary target needs 2"],
    ),
    "number with seven": (swapped(TARGET, Target("topic", task="regression")), ["regression target needs 1"]),
    "one class": (swapped(HEAD, Dense(1)), ["The last Dense has 1 unit, but a classification needs"]),
    "softmax inside": (
        swapped(HEAD, Dense(5, activation="softmax"), HEAD),
        ['Only the last Dense may have activation="softmax"; use "relu"'],
    ),
    "no layers": (
        [TokenIdsInput("ids"), BertEncoder(vocabulary_size=0, num_layers=0), HEAD, TARGET],
        ["BertEncoder has vocabulary_size 0, but it", "BertEncoder has num_layers 0, but it"],
    ),
    "heads that do not fit": (
        [TokenIdsInput("ids"), BertEncoder(vocabulary_size=9, hidden_size=10, num_heads=3), HEAD, TARGET],
        ["BertEncoder has hidden_size 10, which is not a multiple of its num_heads 3"],
    ),
    "not a block": ([TEXT, "tokenizer", ENCODER, HEAD, TARGET], ["Item 1 is 'tokenizer', but a graph"]),
    "a class, not a block": ([TEXT, BertTokenizer, ENCODER, HEAD, TARGET], ["Item 1 is <class"]),
    "unknown output": (
        swapped(ENCODER, MultilingualBertEncoder(output="pooled")),
        ["MultilingualBertEncoder: output is 'pooled', but must be one of 'cls', 'sequence'"],
    ),
    "unknown activation": (
        swapped(HEAD, Dense(3, activation="swish"), HEAD),
        ["Dense: activation is 'swish', but must be one of 'linear', 'relu'"],
    ),
    "unknown task": (swapped(TARGET, Target("topic", task="ranking")), ["Target: task is 'ranking', but"]),
    "units as text": (swapped(HEAD, Dense("7")), ["Dense: units is '7', but must be an int"]),
    "units of a half": (swapped(HEAD, Dense(2.5)), ["Dense: units is 2.5, but must be an int"]),
    "rate as text": (swapped(HEAD, Dropout("0.1"), HEAD), ["Dropout: rate is '0.1', but must be a float"]),
    "truth as a length": (
        swapped(TOKENIZER, BertTokenizer(sequence_length=True)),
        ["BertTokenizer: sequence_length is True, but must be an int"],
    ),
    "frozen by a text": (
        swapped(ENCODER, MultilingualBertEncoder(trainable="no")),
        ["trainable is 'no', but must be True or False"],
    ),
    "vocabulary of another type": (
        swapped(TOKENIZER, BertTokenizer(vocabulary=["mini"])),
        ["BertTokenizer: vocabulary is ['mini'], but must be a str"],
    ),
    "column of another type": (swapped(TEXT, TextInput(3)), ["TextInput: column is 3, but must be a str"]),
}


@pytest.mark.parametrize(("blocks", "fragments"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_is_named_with_its_mend(blocks, fragments):
    text = "\n".join(problems_of(blocks))
    for fragment in fragments:
        assert fragment in text


def test_one_broken_rule_is_one_problem():
    assert len(problems_of(swapped(TOKENIZER, BertTokenizer(sequence_length=2)))) == 1
    assert len(problems_of(swapped(ENCODER, MultilingualBertEncoder(output="sequence")))) == 1
    assert len(problems_of(swapped(TARGET, Target("review")))) == 1


def test_every_problem_is_in_one_error():
    problems = problems_of(
        [
            BertTokenizer(sequence_length=1000),
            MultilingualBertEncoder(weights="mini", output="sequence"),
            Dropout(7),
            Dense(5, activation="softmax"),
            Dense(3),
            Target("", task="binary"),
        ]
    )
    expected = [
        "The first block must be",
        "a sequence of vectors, but Dropout accepts a vector",
        "set vocabulary='mini'",
        "sequence_length 1000",
        "rate 7",
        "empty column name",
        "binary target needs 2",
        'Only the last Dense may have activation="softmax"',
    ]
    assert len(problems) == len(expected)
    for problem, fragment in zip(problems, expected, strict=True):
        assert fragment in problem


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
    with pytest.warns(UserWarning, match=f"write activation='{expected}'") as caught:
        graph = Graph([*GOOD[:3], last, target])
    assert str(last.activation) in str(caught[0].message)
    assert caught[0].filename == __file__, "the warning should point at the caller's line"
    assert graph.head == (last,)


def test_the_activation_that_is_used_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for blocks in GOOD_GRAPHS.values():
            Graph(blocks)


def entry_of(**changes: object) -> dict[str, object]:
    """The JSON of the good graph with other entries in its block for the tokenizer."""
    data = Graph(GOOD).to_json()
    data["blocks"][1].update(changes)
    return data


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        ({}, "not the JSON form of a graph: KeyError('blocks')"),
        (None, "not the JSON form"),
        ([], "not the JSON form"),
        ({"blocks": 3}, "not the JSON form"),
        ({"blocks": ["TextInput"]}, "not the JSON form"),
        ({"blocks": [{"block": "TextInput"}]}, "KeyError('options')"),
        (entry_of(options=["ab"]), "no option ['a']"),
        (entry_of(options=[1]), "not the JSON form"),
        (entry_of(block="GptTokenizer"), "There is no block 'GptTokenizer'; the blocks are TextInput,"),
        (entry_of(options={"lowercase": True}), "BertTokenizer has no option ['lowercase']; its options are"),
        (entry_of(options={"sequence_length": 2}), "sequence_length 2"),
        (entry_of(options={"sequence_length": None}), "BertTokenizer: sequence_length is None"),
        (
            entry_of(inputs=["Dense"]),
            "Only chains can be read: BertTokenizer should have the inputs ['TextIn",
        ),
        (entry_of(name="Tok"), "found {'name': 'Tok'"),
        (entry_of(comment="mine"), "'comment': 'mine'"),
        ({**Graph(GOOD).to_json(), "version": 2}, "found also ['version']"),
    ],
)
def test_json_that_is_no_graph_is_refused(data, fragment):
    with pytest.raises(GraphError) as caught:
        Graph.from_json(data)
    assert fragment in str(caught.value)


def test_an_option_that_json_leaves_out_has_its_default():
    assert Graph.from_json(entry_of(options={"vocabulary": "multilingual-cased"})) == Graph(GOOD)


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
