from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from bertblocks.encoder import BertEncoder, EncoderConfig, PackedTokens, pool
from bertblocks.encoder.attention import (
    _attend_padded,
    _attend_varlen,
    _pad,
    _padded_slots,
    attend,
    attend_first,
)
from bertblocks.encoder.id_range import check_ids
from bertblocks.errors import DataError, ShapeError


def packed_of(*lengths: int) -> PackedTokens:
    return PackedTokens.pack([np.arange(length) for length in lengths])


def test_packing_by_hand():
    packed = PackedTokens.pack([np.array([5, 6, 7]), np.array([8, 9])], num_first=[2, 2])
    assert packed.input_ids_T.tolist() == [5, 6, 7, 8, 9]
    assert packed.position_ids_T.tolist() == [0, 1, 2, 0, 1]
    assert packed.segment_ids_T.tolist() == [0, 0, 1, 0, 0]
    assert packed.cu_seqlens.tolist() == [0, 3, 5]
    assert (packed.num_tokens, packed.num_sequences) == (5, 2)


def test_runs_join_neighbours_of_equal_length():
    runs = list(packed_of(2, 2, 3, 2).equal_length_runs())
    assert [tuple(run) for run in runs] == [(0, 4, 2, 2), (4, 7, 1, 3), (7, 9, 1, 2)]


def test_pooling_by_hand():
    x_TD = torch.tensor([[1.0, 4.0], [3.0, 0.0], [7.0, -7.0]])
    packed = packed_of(2, 1)
    assert pool(x_TD, packed, "cls").tolist() == [[1.0, 4.0], [7.0, -7.0]]
    assert pool(x_TD, packed, "average").tolist() == [[2.0, 2.0], [7.0, -7.0]]
    assert pool(x_TD, packed, "max").tolist() == [[3.0, 4.0], [7.0, -7.0]]


def test_padded_attention_for_gpus_equals_the_packed_one():
    torch.manual_seed(0)
    packed = packed_of(4, 1, 6, 4)
    q, k, v = torch.randn(3, packed.num_tokens, 2, 8).unbind(0)
    slots = _padded_slots(packed)
    assert slots.dtype == torch.int64 and slots.tolist()[:5] == [0, 1, 2, 3, 6]
    padded = _attend_padded(_pad(q, packed, slots), k, v, packed, slots, 0.0).flatten(0, 1)[slots].flatten(1)
    torch.testing.assert_close(padded, attend(q, k, v, packed, 0.0), atol=1e-6, rtol=0)
    first = q[packed.first_token_indices]
    padded_first = _attend_padded(first.unsqueeze(1), k, v, packed, slots, 0.0).flatten(1)
    torch.testing.assert_close(padded_first, attend_first(first, k, v, packed, 0.0), atol=1e-6, rtol=0)


def varlen_by_hand(q, k, v, query_offsets, key_offsets, longest_query, longest_key):
    """What the GPU's kernel computes, with what it demands of its arguments."""
    assert query_offsets.dtype == key_offsets.dtype == torch.int32
    assert all(x.stride(-1) == 1 for x in (q, k, v))
    assert query_offsets.diff().max() == longest_query and key_offsets.diff().max() == longest_key
    sequences = []
    for i in range(len(query_offsets) - 1):
        own = slice(int(key_offsets[i]), int(key_offsets[i + 1]))
        q_NLH = q[int(query_offsets[i]) : int(query_offsets[i + 1])].transpose(0, 1)
        k_NLH, v_NLH = k[own].transpose(0, 1), v[own].transpose(0, 1)
        weights = (q_NLH @ k_NLH.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
        sequences.append((weights @ v_NLH).transpose(0, 1))
    return torch.cat(sequences)


def test_varlen_attention_for_gpus_equals_the_packed_one():
    torch.manual_seed(0)
    packed = packed_of(4, 1, 6, 4)
    q, k, v = torch.randn(packed.num_tokens, 3, 2, 8).unbind(1)
    found = _attend_varlen(varlen_by_hand, q, k, v, packed)
    torch.testing.assert_close(found, attend(q, k, v, packed, 0.0), atol=1e-6, rtol=0)
    first = q[packed.first_token_indices]
    found = _attend_varlen(varlen_by_hand, first, k, v, packed)
    torch.testing.assert_close(found, attend_first(first, k, v, packed, 0.0), atol=1e-6, rtol=0)


def test_varlen_attention_of_texts_of_one_token():
    q, k, v = torch.randn(3, 3, 2, 8).unbind(1)
    found = _attend_varlen(varlen_by_hand, q, k, v, packed_of(1, 1, 1))
    torch.testing.assert_close(found, v.flatten(1))


def test_gradients_of_padded_attention_are_those_of_the_packed_one():
    torch.manual_seed(0)
    packed = packed_of(3, 5, 2)
    slots = _padded_slots(packed)
    gradients = []
    for is_padded in (True, False):
        qkv = torch.randn(packed.num_tokens, 3, 2, 8, generator=torch.Generator().manual_seed(1))
        q, k, v = qkv.requires_grad_().unbind(1)
        if is_padded:
            mixed = _attend_padded(_pad(q, packed, slots), k, v, packed, slots, 0.0)
            out = mixed.flatten(0, 1).index_select(0, slots).flatten(1)
        else:
            out = attend(q, k, v, packed, 0.0)
        out.square().sum().backward()
        gradients.append(qkv.grad)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=0)


def test_torch_takes_the_arguments_of_the_varlen_call():
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="torch has it from 2.10 on")
    bound = inspect.signature(varlen.varlen_attn).bind("q", "k", "v", "offsets", "offsets", 4, 4)
    bound.apply_defaults()
    names = list(bound.arguments)
    assert names[:7] == ["query", "key", "value", "cu_seq_q", "cu_seq_k", "max_q", "max_k"]
    assert bound.arguments.get("is_causal", False) is False
    assert bound.arguments.get("window_size", (-1, -1)) == (-1, -1), "nothing is masked"


@pytest.mark.parametrize("sequences", [[], [np.array([1]), np.array([])]])
def test_nothing_to_pack_is_refused(sequences):
    with pytest.raises(ShapeError, match="at least one token"):
        PackedTokens.pack(sequences)


def test_pooling_of_other_tokens_is_refused():
    with pytest.raises(ShapeError, match=r"3 token vectors.*2 packed"):
        pool(torch.zeros(3, 4), packed_of(2), "average")


@pytest.mark.parametrize("values", [[1.0, 2.5], [True, False], ["1", "2"], [None, 1]])
def test_ids_that_are_not_whole_numbers_are_refused(values):
    with pytest.raises(DataError, match=r"Sequence 1 holds .* values, but token ids are whole numbers"):
        PackedTokens.pack([np.array([1, 2]), np.array(values)])


def test_ids_of_every_integer_type_are_packed():
    kinds = [np.uint8, np.int16, np.uint32, np.uint64, np.int64]
    packed = PackedTokens.pack([np.array([5, 200], dtype=kind) for kind in kinds])
    assert packed.input_ids_T.dtype == torch.int64 and packed.input_ids_T.tolist() == [5, 200] * 5


def test_a_table_of_ids_is_not_one_sequence():
    with pytest.raises(ShapeError, match=r"Sequence 0 has the shape \(2, 3\); give one list"):
        PackedTokens.pack([np.zeros((2, 3), dtype=int)])


def test_an_id_outside_the_vocabulary_is_named_before_it_is_looked_up():
    config = EncoderConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    encoder = BertEncoder(config).eval()
    rows = [np.array([0, 49]), np.array([1, 2, 50, -1]), np.array([50])]
    with pytest.raises(DataError) as caught:
        encoder(PackedTokens.pack(rows))
    assert str(caught.value) == (
        "Sequence 1 of the batch has the id 50 at position 2 (both counted from 0), outside the range 0 to "
        "49 of a vocabulary of 50, and 2 more ids are outside. Mend the ids, or build the encoder with "
        "vocabulary_size = the largest id + 1."
    )
    with pytest.raises(DataError, match="the id -1 at position 0"):
        encoder(PackedTokens.pack([np.array([-1, 3])]))
    assert encoder(PackedTokens.pack(rows[:1])).shape == (1, 8)


def test_an_id_outside_the_vocabulary_is_found_on_other_devices_and_in_groups():
    config = EncoderConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with torch.device("meta"):
        encoder = BertEncoder(config)
    good = PackedTokens.pack([np.array([0, 49])]).to("meta")
    assert encoder(good).shape == (1, 8)
    packed = PackedTokens.pack([np.array([1, 2]), np.array([3, 50])])
    first, second = packed.groups(2)
    check_ids(first, 50)
    with pytest.raises(DataError, match="Sequence 0 of the batch has the id 50 at position 1"):
        check_ids(second, 50)
    # Told by the range alone; only to name the id are the ids fetched, which this device does not have.
    with pytest.raises(NotImplementedError, match="no data"):
        encoder(packed.to("meta"))
