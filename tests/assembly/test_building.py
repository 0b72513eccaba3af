from __future__ import annotations

import dataclasses
import shutil

import pytest
import torch
from safetensors.torch import load_file

from bertblocks.assembly import build, built_sizes, check_fit
from bertblocks.blocks import (
    BertEncoder,
    BertPooler,
    BertTokenizer,
    Dense,
    Dropout,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Graph,
    PretrainedBertEncoder,
    Target,
    TextInput,
    TokenIdsInput,
    block_sizes,
)
from bertblocks.encoder import EncoderConfig, PackedTokens, pool
from bertblocks.errors import CheckpointError, ConfigError, GraphError
from bertblocks.text import load_tokenizer
from tiny import HIDDEN, POSITIONS, tiny_encoder_folder

RANDOM = BertEncoder(vocabulary_size=200, num_layers=2, num_heads=2, hidden_size=16, intermediate_size=32)
LAST, TARGET = Dense(3, activation="softmax"), Target("y")
PACKED = PackedTokens.pack([torch.arange(5).numpy(), torch.arange(9).numpy(), torch.arange(5, 10).numpy()])


def pretrained(folder, *head, output="cls", trainable=True):
    encoder = PretrainedBertEncoder(weights=str(folder), output=output, trainable=trainable)
    tokenizer = BertTokenizer(vocabulary=str(folder), sequence_length=POSITIONS)
    return Graph([TextInput("x"), tokenizer, encoder, *head, LAST, TARGET])


def on_ids(encoder, *head):
    return Graph([TokenIdsInput("ids"), encoder, *head, LAST, TARGET])


@pytest.fixture
def folder(tiny_encoder):
    return tiny_encoder("cased")


def test_the_weights_are_the_folders(folder):
    stored = load_file(folder / "model.safetensors")
    state = build(pretrained(folder, BertPooler())).state_dict()
    assert torch.equal(state["encoder.embeddings.word.weight"], stored["embeddings.word_embeddings.weight"])
    for layer in range(2):
        theirs, ours = f"encoder.layer.{layer}.", f"encoder.layers.{layer}."
        qkv = [stored[f"{theirs}attention.self.{part}.weight"] for part in ("query", "key", "value")]
        assert torch.equal(state[f"{ours}attention.qkv.weight"], torch.cat(qkv))
        assert torch.equal(state[f"{ours}feed_forward.output.weight"], stored[f"{theirs}output.dense.weight"])
        assert torch.equal(
            state[f"{ours}attention.norm.bias"], stored[f"{theirs}attention.output.LayerNorm.bias"]
        )


@pytest.mark.parametrize("before", [[], [Dropout(0.5)]], ids=["at once", "after dropout"])
def test_the_pooler_is_the_folders(folder, before):
    stored = load_file(folder / "model.safetensors")
    head = build(pretrained(folder, *before, BertPooler())).head
    pooler = head[len(before)]
    assert pooler.activation == "tanh"
    assert torch.equal(pooler.weight, stored["pooler.dense.weight"])
    assert torch.equal(pooler.bias, stored["pooler.dense.bias"])


def test_a_pooler_further_on_is_new(folder):
    stored = load_file(folder / "model.safetensors")["pooler.dense.weight"]
    head = build(pretrained(folder, Dense(HIDDEN), BertPooler())).head
    assert head[1].weight.shape == stored.shape and not torch.equal(head[1].weight, stored)
    assert build(pretrained(folder, Dense(7), BertPooler())).head[1].weight.shape == (7, 7)


def test_a_pooler_is_new_where_the_weights_bring_none(tmp_path):
    folder = tiny_encoder_folder(tmp_path / "bare", pooler=False)
    torch.manual_seed(1)
    pooler = build(pretrained(folder, BertPooler())).requires_grad_(False).head[0]
    assert float(pooler.weight.abs().max()) <= 0.04 and not pooler.bias.any()


def test_the_head_follows_its_blocks(folder):
    graph = pretrained(folder, Dense(8, activation="relu"), Dropout(0.3), Dense(5, activation="gelu"))
    head = build(graph).head
    assert [type(part).__name__ for part in head] == ["DenseLayer", "Dropout", "DenseLayer", "DenseLayer"]
    assert [
        (part.in_features, part.out_features, part.activation) for part in head if hasattr(part, "bias")
    ] == [
        (HIDDEN, 8, "relu"),
        (8, 5, "gelu"),
        (5, 3, "linear"),
    ]
    assert head[1].p == 0.3


def test_a_block_object_may_stand_twice():
    dense = Dense(16, activation="tanh")
    graph = Graph([TokenIdsInput("ids"), RANDOM, dense, dense, Dense(2, activation="softmax"), Target("y")])
    assert [part.activation for part in build(graph).head] == ["tanh", "tanh", "linear"]
    two = Dense(2, activation="softmax")
    with pytest.warns(UserWarning, match="set activation='sigmoid'"):
        graph = Graph([TokenIdsInput("ids"), RANDOM, two, Target("y", task="multilabel")])
    assert [part.activation for part in build(graph).head] == ["linear"]
    relu = Dense(1, activation="relu")
    with pytest.warns(UserWarning, match="set activation='linear'"):
        graph = Graph([TokenIdsInput("ids"), RANDOM, relu, relu, Target("y", task="regression")])
    assert [part.activation for part in build(graph).head] == ["relu", "linear"]


@pytest.mark.parametrize("trainable", [True, False])
def test_a_frozen_encoder_gets_no_gradient(folder, trainable):
    model = build(pretrained(folder, BertPooler(), trainable=trainable))
    assert model.training
    model(PACKED).sum().backward()
    assert {weight.requires_grad for weight in model.encoder.parameters()} == {trainable}
    # the position table's last rows have a gradient of zero, but they have one
    assert {weight.grad is not None for weight in model.encoder.parameters()} == {trainable}
    assert all(weight.grad is not None for weight in model.head.parameters())


def test_a_frozen_layer_gets_no_gradient_and_passes_it_on(folder):
    model = build(pretrained(folder, BertPooler(trainable=False), Dense(4, trainable=False), Dense(4)))
    model(PACKED).sum().backward()
    switches = [part.weight.requires_grad for part in model.head]
    assert switches == [False, False, True, True]
    assert [part.bias.grad is not None for part in model.head] == switches
    assert all(weight.grad is not None for weight in model.encoder.parameters())


def test_declared_sizes_are_the_modules():
    graph = on_ids(RANDOM, BertPooler(), Dropout(), Dense(5, activation="relu"))
    declared = block_sizes(graph.blocks)
    assert built_sizes(graph, build(graph)) == declared
    assert declared[1].num_parameters > 10_000 and declared[-2].num_parameters == 6 * 3


def test_sizes_of_a_folder_are_known_when_built(folder):
    graph = pretrained(folder, BertPooler())
    assert block_sizes(graph.blocks)[2].num_parameters is None
    built = built_sizes(graph, module := build(graph))
    assert sum(size.num_parameters for size in built) == sum(w.numel() for w in module.parameters())
    assert built[2].gives == f"(rows, {HIDDEN})"


def test_two_builds_share_no_memory(folder):
    first, second = build(pretrained(folder, BertPooler())), build(pretrained(folder, BertPooler()))
    with torch.no_grad():
        for weight in first.parameters():
            weight.zero_()
    assert all(weight.abs().sum() > 0 for weight in second.encoder.parameters())


def test_random_weights_are_a_seeded_truncated_normal():
    torch.manual_seed(3)
    first = build(on_ids(RANDOM))
    torch.manual_seed(3)
    again = build(on_ids(RANDOM))
    other = build(on_ids(RANDOM))
    states = [model.state_dict() for model in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(
        states[0]["encoder.embeddings.word.weight"], states[2]["encoder.embeddings.word.weight"]
    )
    for name, weight in states[0].items():
        if "norm" in name:
            assert bool((weight == (1 if name.endswith("weight") else 0)).all())
        elif name.endswith("bias"):
            assert not weight.any()
        else:
            assert float(weight.abs().max()) <= 0.04
    word = states[0]["encoder.embeddings.word.weight"]
    # a normal cut at two standard deviations has 0.88 of its standard deviation
    assert word.std() == pytest.approx(0.88 * 0.02, rel=0.05) and abs(word.mean()) < 0.001


def test_random_weights_take_the_blocks_sizes():
    config = build(on_ids(RANDOM)).encoder.config
    expected = dataclasses.asdict(RANDOM)
    assert config.vocab_size == expected["vocabulary_size"] and config.hidden_size == expected["hidden_size"]
    assert (config.num_hidden_layers, config.num_attention_heads) == (2, 2)
    assert (config.intermediate_size, config.max_position_embeddings) == (32, 512)


@pytest.mark.parametrize(
    ("head", "output", "pooling"),
    [
        ([], "cls", "cls"),
        ([GlobalAveragePooling1D()], "sequence", "average"),
        ([GlobalMaxPooling1D()], "sequence", "max"),
    ],
)
def test_pooling_by_hand(head, output, pooling):
    torch.manual_seed(0)
    model = build(on_ids(dataclasses.replace(RANDOM, output=output), *head)).eval()
    assert model.pooling == pooling
    reduce = {"cls": lambda x: x[0], "average": lambda x: x.mean(0), "max": lambda x: x.amax(0)}[pooling]
    with torch.no_grad():
        hidden = model.encoder(PACKED, "sequence").split(PACKED.lengths)
        expected = torch.stack([reduce(states) for states in hidden])
        torch.testing.assert_close(model.pooled(PACKED), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(model(PACKED), model.head(expected), atol=1e-6, rtol=0)
    assert model(PACKED).shape == (3, 3)


def test_a_tokenizer_that_the_encoder_has_no_rows_for(tiny_encoder):
    folder = str(tiny_encoder("cased"))
    tokenizer = BertTokenizer(vocabulary=folder)
    for encoder, problem in (
        (PretrainedBertEncoder(weights=folder), "position table ends at 128: set sequence_length=128"),
        (RANDOM, "the tokenizer has 275 ids, the encoder only 200 rows"),
    ):
        with pytest.raises(GraphError, match=problem):
            build(Graph([TextInput("x"), tokenizer, encoder, LAST, TARGET]))


def test_a_folder_that_is_not_there():
    with pytest.raises(CheckpointError, match="no/such"):
        build(pretrained("no/such/folder"))


def test_names_that_the_encoder_does_not_know():
    with pytest.raises(ConfigError, match="activation is 'swish', but must be one of gelu, gelu_tanh, relu"):
        EncoderConfig(activation="swish")
    with pytest.raises(ConfigError, match="pooling is 'mean', but must be one of cls, average, max"):
        pool(torch.zeros(PACKED.num_tokens, 4), PACKED, "mean")


def test_a_pooler_behind_a_pooling_is_new(folder):
    # It was trained on first tokens.
    stored = load_file(folder / "model.safetensors")["pooler.dense.weight"]
    head = build(pretrained(folder, GlobalMaxPooling1D(), BertPooler(), output="sequence")).head
    assert not torch.equal(head[0].weight, stored)


class TestTheVocabularyOfOtherWeights:
    def graph(self, weights, vocabulary):
        tokenizer = BertTokenizer(vocabulary=str(vocabulary), sequence_length=64)
        encoder = PretrainedBertEncoder(weights=str(weights))
        return Graph([TextInput("x"), tokenizer, encoder, LAST, TARGET])

    def test_is_refused_when_built(self, tiny_encoder):
        cased, uncased = tiny_encoder("cased"), tiny_encoder("uncased")
        with pytest.raises(GraphError, match=r"another than they were trained on: .*theirs has 275 tokens"):
            build(self.graph(cased, uncased))

    def test_of_the_same_size_is_refused_by_its_first_other_token(self, folder, tmp_path):
        other = tmp_path / "other"
        shutil.copytree(folder, other)
        for name in ("vocab.txt", "tokenizer.json"):
            path = other / name
            if path.exists():
                text = path.read_text(encoding="utf-8")
                path.write_text(text.replace("film", "mlif"), encoding="utf-8")
        with pytest.raises(GraphError, match=r"is 'film' in theirs and 'mlif' in it\. Set vocabulary="):
            build(self.graph(folder, other))

    def test_by_another_name_is_taken(self, folder, tmp_path):
        copied = tmp_path / "copied"
        shutil.copytree(folder, copied)
        build(self.graph(folder, copied))

    def test_is_not_asked_for_where_the_weights_bring_none(self, folder, tmp_path):
        bare = tmp_path / "bare"
        bare.mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copy(folder / name, bare / name)
        build(self.graph(bare, folder))


def test_a_graph_larger_than_the_memory_is_refused_at_once():
    huge = BertEncoder(vocabulary_size=2**31 - 1, hidden_size=768)
    with pytest.raises(GraphError, match=r"parameters take 6,144 GiB, .*: make BertEncoder smaller"):
        build(on_ids(huge))


def test_a_graph_is_made_of_a_list():
    for wrong in (None, TextInput("x"), "TextInput"):
        with pytest.raises(GraphError, match=r"A graph takes a list of blocks, found .*: write Graph"):
            Graph(wrong)


def test_a_length_that_leaves_a_pair_no_room():
    tokenizer = load_tokenizer("mini", sequence_length=5)
    check_fit(tokenizer, EncoderConfig(vocab_size=160_000))
    with pytest.raises(GraphError, match="4 special tokens around a pair: set sequence_length=6 or more"):
        check_fit(tokenizer, EncoderConfig(vocab_size=160_000), pair=True)
