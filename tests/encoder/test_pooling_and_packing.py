from __future__ import annotations

import numpy as np
import pytest
import torch

from bertblocks.encoder import PackedTokens, pool
from bertblocks.encoder.attention import _attend_padded, _pad, _padded_slots, attend, attend_first
from bertblocks.errors import ShapeError


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
    padded = _attend_padded(_pad(q, packed, slots), k, v, packed, 0.0)[slots].flatten(1)
    torch.testing.assert_close(padded, attend(q, k, v, packed, 0.0), atol=1e-6, rtol=0)
    first = q[packed.first_token_indices]
    padded_first = _attend_padded(first.unsqueeze(1), k, v, packed, 0.0).flatten(1)
    torch.testing.assert_close(padded_first, attend_first(first, k, v, packed, 0.0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("sequences", [[], [np.array([1]), np.array([])]])
def test_nothing_to_pack_is_refused(sequences):
    with pytest.raises(ShapeError, match="at least one token"):
        PackedTokens.pack(sequences)


def test_pooling_of_other_tokens_is_refused():
    with pytest.raises(ShapeError, match=r"3 token vectors.*2 packed"):
        pool(torch.zeros(3, 4), packed_of(2), "average")
