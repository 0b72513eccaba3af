"""Word vectors given in place of ids, which is how explanations ask what an answer depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_encoders import SIZES

from bertblocks.encoder import BertEncoder, EncoderConfig, PackedTokens, initialize

SEQUENCES = [np.array([5, 9, 5, 30, 2]), np.array([1, 2]), np.array([7, 7, 7])]


@pytest.fixture
def encoder() -> BertEncoder:
    torch.manual_seed(0)
    encoder = BertEncoder(EncoderConfig(**SIZES))
    initialize(encoder, standard_deviation=0.2)
    return encoder.eval()


def with_vectors(encoder: BertEncoder, packed: PackedTokens) -> PackedTokens:
    return replace(packed, word_vectors_TD=encoder.embeddings.word(packed.input_ids_T))


@torch.no_grad()
def test_the_ids_own_rows_change_nothing(encoder):
    packed = PackedTokens.pack(SEQUENCES)
    for output in ("cls", "sequence"):
        assert torch.equal(encoder(packed, output), encoder(with_vectors(encoder, packed), output))


@torch.no_grad()
def test_other_rows_are_other_words(encoder):
    packed, other = PackedTokens.pack(SEQUENCES), PackedTokens.pack([ids + 1 for ids in SEQUENCES])
    vectors_TD = with_vectors(encoder, other).word_vectors_TD
    assert torch.equal(encoder(replace(packed, word_vectors_TD=vectors_TD)), encoder(other))


@torch.no_grad()
def test_groups_and_devices_keep_them(encoder):
    packed = with_vectors(encoder, PackedTokens.pack(SEQUENCES)).to("cpu")
    groups = list(packed.groups(5))
    assert [group.lengths for group in groups] == [(5,), (2, 3)]
    assert torch.equal(torch.cat([group.word_vectors_TD for group in groups]), packed.word_vectors_TD)
    one_by_one = torch.cat([encoder(group) for group in groups])
    torch.testing.assert_close(one_by_one, encoder(packed), atol=1e-5, rtol=0)


def test_they_have_a_gradient(encoder):
    packed = with_vectors(encoder, PackedTokens.pack(SEQUENCES))
    vectors_TD = packed.word_vectors_TD.detach().requires_grad_()
    output_BD = encoder(replace(packed, word_vectors_TD=vectors_TD))
    (gradient_TD,) = torch.autograd.grad(output_BD[1].square().sum(), vectors_TD)
    assert gradient_TD[5:7].abs().min() > 0
    assert not gradient_TD[:5].any() and not gradient_TD[7:].any(), "other sequences play no part"
