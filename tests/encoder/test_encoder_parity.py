"""Whole hidden states against transformers: random configurations, and real weights."""

from __future__ import annotations

import pytest
import torch
import transformers
from parity import (
    assert_encoder_equals_reference,
    encoder_of,
    our_encoder,
    random_bert,
    random_ids,
)

from bertblocks.checkpoints import read_checkpoint
from bertblocks.encoder import BertEncoder, EncoderConfig, PackedTokens, resolve_device
from bertblocks.encoder.linear import precision
from bertblocks.errors import ConfigError, ShapeError

LENGTHS = [7, 3, 3, 12, 64, 1, 12, 12, 5]


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"num_hidden_layers": 1},
        {"num_attention_heads": 1, "hidden_act": "gelu_new"},
        {"hidden_act": "relu", "layer_norm_eps": 1e-5},
        {"hidden_size": 48, "num_attention_heads": 12, "intermediate_size": 7},
        {"type_vocab_size": 3, "vocab_size": 11},
    ],
    ids=str,
)
def test_random_configurations_equal_transformers(sizes, tmp_path):
    model = random_bert(**sizes)
    encoder = our_encoder(model, tmp_path)
    assert_encoder_equals_reference(encoder, model, random_ids(model.config.vocab_size, LENGTHS))


def test_real_weights_equal_transformers(minilm):
    model = transformers.BertModel.from_pretrained(minilm).eval()
    encoder = encoder_of(read_checkpoint(minilm))
    lengths = [512, 9, 9, 31, 77, 128, 3]
    assert_encoder_equals_reference(encoder, model, random_ids(30522, lengths))


def test_parameter_counts_are_those_of_the_documentation():
    with torch.device("meta"):
        multilingual = BertEncoder(EncoderConfig())
        english = BertEncoder(EncoderConfig(vocab_size=30_522))
    pooler = 768 * 768 + 768
    assert sum(p.numel() for p in multilingual.parameters()) + pooler == 177_853_440
    assert sum(p.numel() for p in english.parameters()) + pooler == 109_482_240


@torch.no_grad()
def test_packed_equals_one_at_a_time_in_any_order(tmp_path):
    encoder = our_encoder(random_bert(), tmp_path)
    sequences = random_ids(97, LENGTHS)
    alone = [encoder(PackedTokens.pack([ids]), "sequence") for ids in sequences]
    for order in ([0, 1, 2, 3, 4, 5, 6, 7, 8], [8, 2, 5, 1, 0, 3, 7, 6, 4]):
        packed = PackedTokens.pack([sequences[index] for index in order])
        together = encoder(packed, "sequence").split(packed.lengths)
        for index, states in zip(order, together, strict=True):
            torch.testing.assert_close(states, alone[index], atol=1e-5, rtol=0)


def test_gradients_equal_transformers(tmp_path):
    model = random_bert(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    encoder = our_encoder(model, tmp_path).train()
    ids = random_ids(97, [6, 6])
    encoder(PackedTokens.pack(ids), "cls").square().sum().backward()
    batch = torch.stack([torch.from_numpy(row).long() for row in ids])
    model.train()(input_ids=batch).last_hidden_state[:, 0].square().sum().backward()
    query = model.encoder.layer[0].attention.self.query.weight.grad
    ours = encoder.layers[0].attention.qkv.weight.grad[: len(query)]
    torch.testing.assert_close(ours, query, atol=1e-4, rtol=1e-4)
    words = model.embeddings.word_embeddings.weight.grad
    words[0] = encoder.embeddings.word.weight.grad[0]  # transformers gives its padding row no gradient
    torch.testing.assert_close(encoder.embeddings.word.weight.grad, words, atol=1e-4, rtol=1e-4)


def test_too_long_a_sequence_is_refused(tmp_path):
    encoder = our_encoder(random_bert(), tmp_path)
    with pytest.raises(ShapeError, match=r"65 tokens.*64"):
        encoder(PackedTokens.pack(random_ids(97, [65])))


def test_the_gain_of_bfloat16_is_one_of_pairs(monkeypatch):
    # Seconds of products that take 2 and 1, on a machine that other work slows now and then.
    slowed = {4: 10.0, 5: 10.0, 6: 10.0, 7: 10.0, 8: 30.0, 11: 30.0}
    calls = []

    def seconds(x, weight):
        calls.append(x.dtype)
        assert x.dtype == weight.dtype
        return (2.0 if x.dtype == torch.float32 else 1.0) * slowed.get(len(calls) - 1, 1.0)

    monkeypatch.setattr(precision, "_product_seconds", seconds)
    assert precision._bfloat16_gain.__wrapped__() == 2.0
    assert calls == [torch.float32, torch.bfloat16] * 8


def test_the_gain_of_bfloat16_can_be_measured():
    assert 0 < precision._bfloat16_gain.__wrapped__() < float("inf")


@pytest.mark.parametrize(
    "device", ["mps", "meta", "tpu", "cpu:0", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:0\n", ""]
)
def test_devices_that_are_not_supported(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="must be 'auto', 'cpu', 'cuda', or 'cuda:1'"):
        resolve_device(device)


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    for device in ("cuda", "cuda:0"):
        with pytest.raises(ConfigError, match="finds no CUDA GPU here"):
            resolve_device(device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="device is 'cuda:2', but the number of CUDA GPUs here is 2"):
        resolve_device("cuda:2")


@torch.no_grad()
def test_bfloat16_stays_near_float32(minilm):
    encoder = encoder_of(read_checkpoint(minilm))
    packed = PackedTokens.pack(random_ids(30522, [20, 20, 45]))
    exact = encoder(packed, "cls")
    rough = encoder.to(torch.bfloat16)(packed, "cls").float()
    assert torch.nn.functional.cosine_similarity(exact, rough).min() > 0.995
    assert not torch.equal(exact, rough)
