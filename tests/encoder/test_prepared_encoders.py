"""Whole encoders in every precision by every kernel: near float32, and a text's result is its own.

Bit by bit wherever sums are whole or ours: only torch's own float32 and bfloat16 add in an order that may
depend on how many rows there are.
"""

from __future__ import annotations

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from parity import encoder_of, random_ids
from small_encoders import (
    LENGTHS,
    TORCH_ALONE,
    WAYS,
    every_way,
    is_same,
    packed_texts,
    prepared,
    small_encoder,
    states,
)
from torch import Tensor, nn

from bertblocks.checkpoints import Checkpoint, read_checkpoint
from bertblocks.encoder import PackedTokens, native, pool, to_precision
from bertblocks.encoder.linear import int8_layers
from bertblocks.encoder.native import NativeLinear, calls
from bertblocks.errors import ConfigError

pytestmark = pytest.mark.usefixtures("quiet_zentorch")

# Cosine of a token's states with those in float32: 8 significant bits, and 127 steps of the largest value.
NEAR = {"float32": 1 - 1e-6, "bfloat16": 0.9999, "int8": 0.999}
# Cosine of a token's states with those in float32: 8 significant bits, and 127 steps of the largest value.
NEAR = {"float32": 1 - 1e-6, "bfloat16": 0.9999, "int8": 0.999}
every_prepared_way = pytest.mark.parametrize(
    "way", [way for way in WAYS if way not in TORCH_ALONE], ids="-".join
)


def cosine(found: Tensor, expected: Tensor) -> float:
    return float(nn.functional.cosine_similarity(found.float(), expected.float()).min())


@every_way
@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
def test_states_are_near_float32(way, activation):
    expected = states(to_precision(small_encoder(activation=activation), "float32", "plain"))
    found = states(prepared(way, activation=activation))
    assert found.dtype == (torch.float32 if way[0] == "float32" else torch.bfloat16)
    assert cosine(found, expected) > NEAR[way[0]]


@pytest.fixture(scope="module")
def checkpoint(minilm) -> Checkpoint:
    return read_checkpoint(minilm)


@every_way
@torch.inference_mode()
def test_real_weights_are_near_float32(way, checkpoint):
    packed = PackedTokens.pack(random_ids(30522, [20, 9, 31, 77]))
    expected = encoder_of(checkpoint)(packed, "sequence")
    found = to_precision(encoder_of(checkpoint), *way)(packed, "sequence")
    vectors = [pool(x_TD, packed, "average") for x_TD in (found, expected)]
    assert cosine(*vectors) > {"float32": 1 - 1e-6, "bfloat16": 0.9999, "int8": 0.99}[way[0]]


@every_way
def test_a_batch_equals_single_texts_in_any_order(way):
    encoder = prepared(way)
    sequences = random_ids(97, LENGTHS)
    with torch.inference_mode():
        alone = [encoder(PackedTokens.pack([ids]), "sequence") for ids in sequences]
        for seed in range(3):
            order = random.Random(seed).sample(range(len(sequences)), len(sequences))
            packed = PackedTokens.pack([sequences[index] for index in order])
            together = encoder(packed, "sequence").split(packed.lengths)
            for index, found in zip(order, together, strict=True):
                assert is_same(way, found, alone[index])
    assert len({states[0, 0].item() for states in alone}) > 5, "texts must differ for this to mean something"


@every_way
@torch.inference_mode()
def test_first_tokens_equal_those_of_the_whole(way):
    encoder, packed = prepared(way), packed_texts()
    whole = encoder(packed, "sequence")
    assert is_same(way, encoder(packed, "cls"), whole[packed.first_token_indices])


@every_way
def test_threads_do_not_matter(way, threads):
    encoder = prepared(way)
    expected = states(encoder)
    for number in (2, 3):
        threads(number)
        assert is_same(way, states(encoder), expected)


@every_way
@torch.inference_mode()
def test_what_is_not_a_number_stays_in_its_text(way):
    encoder = prepared(way)
    packed = PackedTokens.pack([np.arange(20), np.array([30, 31, 32]), np.arange(40, 60)])
    expected = encoder(packed, "sequence").split(packed.lengths)
    encoder.embeddings.word.weight[31] = float("nan")
    found = encoder(packed, "sequence").split(packed.lengths)
    # zentorch takes it for a number in its products; the residual carries it on in its own token.
    assert found[1][1 if "zentorch" in way else slice(None)].isnan().all()
    assert is_same(way, found[0], expected[0])
    assert is_same(way, found[2], expected[2])


@every_way
def test_rows_of_zeros(way):
    """Embeddings that are nothing: rows without a largest value to scale them by."""
    encoder = small_encoder()
    with torch.no_grad():
        encoder.embeddings.norm.weight.zero_()
        encoder.embeddings.norm.bias.zero_()
    expected = states(to_precision(copy.deepcopy(encoder), "float32", "plain"))
    assert cosine(states(to_precision(encoder, *way)), expected) > NEAR[way[0]]


@every_way
@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden_size": 48, "num_attention_heads": 4},
        {"hidden_size": 40, "num_attention_heads": 5, "intermediate_size": 100},
        {"hidden_size": 96, "num_attention_heads": 4},
        {"intermediate_size": 100},
        {"num_hidden_layers": 1, "intermediate_size": 7},
    ],
    ids=str,
)
def test_odd_sizes_fall_back_layer_by_layer(way, sizes):
    encoder = prepared(way, **sizes)
    expected = states(to_precision(small_encoder(**sizes), "float32", "plain"))
    assert cosine(states(encoder), expected) > NEAR[way[0]] - (0.002 if way[0] == "int8" else 0)
    if way[1] == "native":
        feed_forward, attention = encoder.layers[0].feed_forward, encoder.layers[0].attention
        D, F = encoder.config.hidden_size, encoder.config.intermediate_size
        assert isinstance(attention.qkv, NativeLinear) is (D % 32 == 0)
        assert isinstance(feed_forward.output, NativeLinear) is (D % 32 == F % 32 == 0)
        assert isinstance(feed_forward.norm, native.NativeAddNorm) is (D % 32 == 0)
        takes_some = D % 32 == 0
        assert encoder.kernels == ("native" if takes_some else "plain" if way[0] == "int8" else None)


@every_prepared_way
def test_there_is_no_gradient(way):
    encoder = prepared(way)
    with pytest.raises(ConfigError) as caught:
        encoder(packed_texts())
    assert str(caught.value) == (
        "This encoder was prepared for inference, and its kernels give no gradient: run it under "
        "torch.inference_mode(), or train the module that bertblocks.build() gives."
    )
    with torch.no_grad():
        assert encoder(packed_texts()).isfinite().all()


@every_prepared_way
def test_a_second_conversion_is_refused(way):
    with pytest.raises(ConfigError, match=f"was prepared for the {way[1]} kernels before; load it again"):
        to_precision(prepared(way), "float32", "plain")


@pytest.mark.skipif(native.missing() is not None, reason=f"native kernels: {native.missing()}")
def test_a_prepared_encoder_is_not_converted_by_torch():
    for encoder in (prepared(("int8", "native")).float(), prepared(("float32", "native")).to(torch.bfloat16)):
        with pytest.raises(
            ConfigError, match=r"A prepared encoder cannot be converted or moved, nor run under"
        ):
            states(encoder)
    encoder = prepared(("float32", "native"))
    expected = states(encoder)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(states(encoder), expected)
    half_heads = prepared(("float32", "native"), num_attention_heads=4)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(ConfigError, match=r"nor run under torch.autocast"),
    ):
        states(half_heads)


@every_way
@pytest.mark.parametrize("carry", [copy.deepcopy, lambda encoder: pickle.loads(pickle.dumps(encoder))])
def test_copies_answer_the_same(way, carry):
    encoder = prepared(way)
    expected = states(encoder)
    carried = carry(encoder)
    del encoder
    assert torch.equal(states(carried), expected) and carried.kernels == (
        None if way in TORCH_ALONE else way[1]
    )


@pytest.mark.parametrize("way", [way for way in WAYS if way[1] != "plain"], ids="-".join)
def test_unpickling_where_the_kernels_are_missing(way, monkeypatch):
    pickled = pickle.dumps(prepared(way))
    for name in ("has_onednn", "has_zentorch"):
        monkeypatch.setattr(int8_layers, name, lambda: False)
    monkeypatch.setattr(calls, "_processor", lambda: None)
    with pytest.raises(ConfigError) as caught:
        pickle.loads(pickled)
    names = {"onednn": "oneDNN", "native": "native", "zentorch": "zentorch"}
    why = " (the compiled part was not built when bertblocks was installed)" if way[1] == "native" else ""
    assert str(caught.value) == (
        f"This encoder was prepared for the {names[way[1]]} kernels, which are missing here{why}. Load the "
        "model on this machine instead, or prepare it with precision='float32', kernels='plain'."
    )
