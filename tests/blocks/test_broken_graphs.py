"""One broken graph a rule, with the whole message: read it aloud, it should be enough to mend the graph."""

from __future__ import annotations

from pathlib import Path

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
)
from bertblocks.errors import GraphError

TEXT, TOKENIZER, ENCODER = TextInput("review"), BertTokenizer(), MultilingualBertEncoder()
HEAD, TARGET = Dense(7, activation="softmax"), Target("topic")
GOOD = [TEXT, TOKENIZER, ENCODER, HEAD, TARGET]
IDS = TokenIdsInput("ids")


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


def on_ids(**options: object) -> list[Block]:
    """A graph on ids with these options of its encoder."""
    return [IDS, BertEncoder(**{"vocabulary_size": 9, **options}), HEAD, TARGET]


CASES = {
    "no blocks": [],
    "no input": GOOD[1:],
    "an encoder first": GOOD[2:],
    "no encoder on text": [TEXT, HEAD, TARGET],
    "no encoder on tokens": [TEXT, TOKENIZER, HEAD, TARGET],
    "only dense": [HEAD, TARGET],
    "two encoders": swapped(ENCODER, ENCODER, ENCODER),
    "two encoders apart": swapped(HEAD, Dense(4), ENCODER, HEAD),
    "two tokenizers": swapped(TOKENIZER, TOKENIZER, TOKENIZER),
    "tokenizer after encoder": swapped(ENCODER, ENCODER, TOKENIZER),
    "no target": GOOD[:-1],
    "target inside": [*GOOD[:4], TARGET, HEAD],
    "two targets": [*GOOD, Target("stars")],
    "no tokenizer": [TEXT, ENCODER, HEAD, TARGET],
    "no tokenizer before random weights": [TEXT, *on_ids()[1:]],
    "three texts": [TextInput("a"), TextInput("b"), *GOOD],
    "text and ids": [IDS, TEXT, TOKENIZER, ENCODER, HEAD, TARGET],
    "a tokenizer after ids": [IDS, TOKENIZER, ENCODER, HEAD, TARGET],
    "sequence into dense": swapped(ENCODER, MultilingualBertEncoder(output="sequence")),
    "sequence into dropout": swapped(ENCODER, MultilingualBertEncoder(output="sequence"), Dropout()),
    "sequence into pooler": swapped(ENCODER, MultilingualBertEncoder(output="sequence"), BertPooler()),
    "sequence into target": [*GOOD[:2], MultilingualBertEncoder(output="sequence"), TARGET],
    "pooling of one vector": swapped(ENCODER, ENCODER, GlobalMaxPooling1D()),
    "pooling after dense": swapped(HEAD, Dense(4), GlobalMaxPooling1D(), HEAD),
    "two poolings": swapped(
        ENCODER,
        MultilingualBertEncoder(output="sequence"),
        GlobalAveragePooling1D(),
        GlobalMaxPooling1D(),
    ),
    "pooling of tokens": swapped(ENCODER, GlobalAveragePooling1D(), ENCODER),
    "dense of tokens": swapped(ENCODER, Dense(3), ENCODER),
    "ids into pretrained weights": [IDS, ENCODER, HEAD, TARGET],
    "multilingual on english ids": swapped(TOKENIZER, BertTokenizer(vocabulary="english-uncased")),
    "english on multilingual ids": swapped(ENCODER, EnglishBertEncoder()),
    "another vocabulary": swapped(ENCODER, MultilingualBertEncoder(weights="mini")),
    "a folder with a named vocabulary": swapped(ENCODER, MultilingualBertEncoder(weights="my/folder")),
    "any encoder with another vocabulary": swapped(ENCODER, PretrainedBertEncoder(weights="mini")),
    "weights of another language": swapped(ENCODER, MultilingualBertEncoder(weights="english-uncased")),
    "a multilingual english": swapped(ENCODER, EnglishBertEncoder(weights="mini")),
    "small vocabulary": swapped(ENCODER, BertEncoder(vocabulary_size=1000)),
    "short sequence": swapped(TOKENIZER, BertTokenizer(sequence_length=2)),
    "long sequence": swapped(TOKENIZER, BertTokenizer(sequence_length=513)),
    "a stride beyond its window": swapped(
        TOKENIZER, BertTokenizer(sequence_length=64, windows="slide", stride=63)
    ),
    "a stride without windows": swapped(TOKENIZER, BertTokenizer(stride=63, window_pooling="max")),
    "a pair in windows": [TextInput("a"), TextInput("b"), BertTokenizer(windows="slide"), *GOOD[2:]],
    "a pair without room": [TextInput("a"), TextInput("b"), BertTokenizer(sequence_length=4), *GOOD[2:]],
    "empty column": swapped(TEXT, TextInput(" ")),
    "target among the texts": swapped(TARGET, Target("review")),
    "one text twice": [TEXT, *GOOD],
    "no units": swapped(HEAD, Dense(0), HEAD),
    "all dropped": swapped(HEAD, Dropout(1.0), HEAD),
    "not a rate": swapped(HEAD, Dropout(float("nan")), HEAD),
    "no head": [TEXT, TOKENIZER, ENCODER, TARGET],
    "dropout last": swapped(TARGET, Dropout(), TARGET),
    "binary with seven": swapped(TARGET, Target("topic", task="binary")),
    "binary with one": [*GOOD[:3], Dense(1, activation="sigmoid"), Target("spam", task="binary")],
    "number with seven": swapped(TARGET, Target("topic", task="regression")),
    "one class": swapped(HEAD, Dense(5, activation="relu"), Dense(1, activation="softmax")),
    "softmax inside": swapped(HEAD, Dense(5, activation="softmax"), HEAD),
    "no layers": on_ids(vocabulary_size=0, num_layers=-1),
    "too large": on_ids(vocabulary_size=10**5000, num_layers=1001),
    "too many units": swapped(HEAD, Dense(2**31), HEAD),
    "half a surrogate pair": swapped(TEXT, TextInput("a\ud800")),
    "heads that do not fit": on_ids(hidden_size=10, num_heads=3),
    "not a block": [TEXT, "BertTokeniser", ENCODER, HEAD, TARGET],
    "a name, not a block": [TEXT, "BertTokenizer", ENCODER, HEAD, TARGET],
    "a list in the list": [[TEXT, TOKENIZER], ENCODER, HEAD, TARGET],
    "a class, not a block": [TEXT, BertTokenizer, ENCODER, HEAD, TARGET],
    "unknown output": swapped(ENCODER, MultilingualBertEncoder(output="sequences")),
    "unknown activation": swapped(HEAD, Dense(3, activation="swish"), HEAD),
    "unknown task": swapped(TARGET, Target("topic", task="multi-label")),
    "units as text": swapped(HEAD, Dense("7")),
    "units of a half": swapped(HEAD, Dense(2.5)),
    "rate as text": swapped(HEAD, Dropout("0.1"), HEAD),
    "truth as a length": swapped(TOKENIZER, BertTokenizer(sequence_length=True)),
    "frozen by a text": swapped(HEAD, Dense(7, activation="softmax", trainable="no")),
    "vocabulary of another type": swapped(TOKENIZER, BertTokenizer(vocabulary=["mini"])),
    "no vocabulary": swapped(TOKENIZER, BertTokenizer(vocabulary="")),
    "no weights": swapped(ENCODER, PretrainedBertEncoder(weights="")),
    "column of another type": swapped(TEXT, TextInput(3)),
}

MESSAGES = Path(__file__).with_name("broken_graphs.txt")


def told() -> dict[str, list[str]]:
    """The messages of the file beside this one, by the name of the case."""
    found: dict[str, list[str]] = {}
    for line in MESSAGES.read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            found[list(found)[-1]].append(line.strip())
        else:
            found[line.removesuffix(":")] = []
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_is_told_with_its_mend(case):
    assert problems_of(CASES[case]) == told()[case]


def test_every_case_has_its_messages():
    assert list(told()) == list(CASES)


def test_every_problem_is_in_one_error_in_the_order_of_the_blocks():
    problems = problems_of(
        [
            BertTokenizer(sequence_length=1000),
            MultilingualBertEncoder(weights="mini", output="sequence"),
            Dropout(7),
            Dense(5, activation="softmax"),
            Dense(3, trainable="yes"),
            Target("", task="binary"),
        ]
    )
    expected = [
        "BertTokenizer begins the graph",
        "BertTokenizer has sequence_length 1000",
        "set vocabulary='mini'",
        "Dropout got a sequence of vectors from MultilingualBertEncoder",
        "Dropout has rate 7",
        'Dense has activation="softmax", but only the last Dense may',
        "Dense_2: trainable is 'yes'",
        "Target has an empty column name",
    ]
    assert len(problems) == len(expected)
    for problem, fragment in zip(problems, expected, strict=True):
        assert fragment in problem


def test_a_wrong_type_hides_no_other_problem():
    problems = problems_of(
        [TextInput(3), *swapped(ENCODER, EnglishBertEncoder())[1:-1], Target("x", task="binary")]
    )
    assert [text.split(" ")[0] for text in problems] == ["TextInput:", "EnglishBertEncoder", "Dense"]
