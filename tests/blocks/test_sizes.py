from __future__ import annotations

from pathlib import Path

import pytest

import bertblocks
from bertblocks.blocks import (
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Dense,
    Dropout,
    EnglishBertEncoder,
    GlobalAveragePooling1D,
    Graph,
    MultilingualBertEncoder,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    block_sizes,
)
from bertblocks.blocks.sizes import NAMED_SIZES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "blocks.md"
DRAWING = Path(__file__).with_name("drawing.txt")
LAST, TARGET = Dense(7, activation="softmax"), Target("topic")
PAIR = Graph(
    [
        TextInput("question"),
        TextInput("答え"),
        BertTokenizer(sequence_length=128),
        MultilingualBertEncoder(output="sequence", trainable=False),
        GlobalAveragePooling1D(),
        Dense(64, activation="relu"),
        Dropout(),
        LAST,
        TARGET,
    ]
)


def parameters(encoder, vocabulary):
    graph = Graph([TextInput("a"), BertTokenizer(vocabulary=vocabulary), encoder, BertPooler(), LAST, TARGET])
    return [size.num_parameters for size in block_sizes(graph.blocks)]


@pytest.mark.parametrize(
    ("encoder", "vocabulary", "with_pooler"),
    [
        (MultilingualBertEncoder(), "multilingual-cased", 177_853_440),
        (EnglishBertEncoder(), "english-uncased", 109_482_240),
        (BertEncoder(vocabulary_size=119_547), "multilingual-cased", 177_853_440),
        (MultilingualBertEncoder(weights="mini"), "mini", 82_931_712 + 384 * 385),
    ],
)
def test_the_published_counts(encoder, vocabulary, with_pooler):
    _, _, body, pooler, last, target = parameters(encoder, vocabulary)
    assert body + pooler == with_pooler
    assert last == (385 if vocabulary == "mini" else 769) * 7 and target == 0


def test_what_only_a_folder_tells_is_not_guessed():
    assert parameters(PretrainedBertEncoder(weights="a/b"), "a/b") == [0, 0, None, None, None, 0]
    graph = Graph(
        [
            TokenIdsInput("ids"),
            PretrainedBertEncoder(weights="a/b"),
            Dense(9),
            Dense(7, activation="softmax"),
            TARGET,
        ]
    )
    assert [size.num_parameters for size in block_sizes(graph.blocks)][2:4] == [None, 70]
    assert "known when built" in graph.summary() and "parameters known when built" in graph.drawing()


def test_shapes_are_carried_through():
    assert [size.gives for size in block_sizes(PAIR.blocks)] == [
        "(rows)",
        "(rows)",
        "(rows, up to 128 tokens)",
        "(rows, up to 128 tokens, 768)",
        "(rows, 768)",
        "(rows, 64)",
        "(rows, 64)",
        "(rows, 7)",
        "(rows)",
    ]


def test_the_table_and_the_drawing():
    expected = DRAWING.read_text(encoding="utf-8")
    assert f"{PAIR}\n\n{PAIR.drawing()}\n" == expected


@pytest.mark.parametrize("column", ["x" * 500, "長い" * 200, "a\nb\x1b[31m", " " * 300])
def test_a_drawing_stays_narrow_and_plain(column):
    drawing = Graph([TextInput(column + "!"), *PAIR.blocks[1:]]).drawing()
    assert "\x1b" not in drawing
    assert max(map(len, drawing.splitlines())) <= 80


def test_a_drawing_of_an_encoder_of_unknown_width_stays_narrow():
    blocks = [
        TextInput("a"),
        BertTokenizer(vocabulary="q/r"),
        PretrainedBertEncoder(weights="q/r", output="sequence"),
    ]
    graph = Graph([*blocks, GlobalAveragePooling1D(), Dense(2, activation="softmax"), Target("b")])
    assert max(map(len, graph.drawing().splitlines())) <= 80


def test_the_page_of_the_blocks_says_what_is_so():
    page = PAGE.read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0].split("print(graph)")[0]
    names: dict[str, object] = {}
    exec(code, names)
    assert isinstance(names["graph"], Graph)
    for name, sizes in NAMED_SIZES.items():
        width = sizes.hidden_size
        assert f"{sizes.num_parameters:,} | {sizes.num_parameters + (width + 1) * width:,} |" in page, name
    wide = NAMED_SIZES["english-uncased"]
    embeddings = (wide.vocabulary_size + 512 + 2 + 2) * 768
    assert f"layers alone are {wide.num_parameters - embeddings:,} parameters" in page


def test_the_snippets_of_the_page_are_graphs():
    page = PAGE.read_text(encoding="utf-8")
    code = page.split("```python\n")[2].split("```")[0]
    exec(code, {"bb": bertblocks})
    assert code.count("snippets.") == 4


def test_the_messages_of_the_page_are_the_ones_that_are_told():
    page = PAGE.read_text(encoding="utf-8")
    told = Path(__file__).with_name("broken_graphs.txt").read_text(encoding="utf-8")
    rules = page.split("| rule | message |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert len(rules) == 8
    for line in rules:
        assert line.split(" | ", 1)[1].removesuffix(" |") in told
