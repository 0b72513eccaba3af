"""The reference: transformers' BertModel, and one way to compare whole tensors with it."""

from __future__ import annotations

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from bertblocks.checkpoints import Checkpoint, read_checkpoint
from bertblocks.encoder import BertEncoder, PackedTokens

TINY = {
    "vocab_size": 97,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
}


def random_bert(**sizes: object) -> transformers.BertModel:
    """A seeded BertModel of transformers, in evaluation mode; biases and norms random too."""
    torch.manual_seed(0)
    model = transformers.BertModel(transformers.BertConfig(**{**TINY, **sizes})).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.2)
    return model


def encoder_of(checkpoint: Checkpoint) -> BertEncoder:
    encoder = BertEncoder(checkpoint.config).eval()
    encoder.load_state_dict(checkpoint.encoder)
    return encoder


def our_encoder(model: transformers.BertModel, folder) -> BertEncoder:
    model.save_pretrained(folder)
    return encoder_of(read_checkpoint(folder))


def random_ids(vocab_size: int, lengths: list[int], seed: int = 1) -> list[NDArray[np.int32]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocab_size, length).astype(np.int32) for length in lengths]


@torch.no_grad()
def reference_states(model: transformers.BertModel, ids: NDArray[np.int32], num_first: int) -> torch.Tensor:
    """Last hidden states of one sequence alone, without padding, shape (tokens, hidden)."""
    segments = (np.arange(len(ids)) >= num_first).astype(np.int64)
    output = model(
        input_ids=torch.from_numpy(ids.astype(np.int64))[None],
        token_type_ids=torch.from_numpy(segments)[None],
    )
    return output.last_hidden_state[0]


@torch.no_grad()
def assert_encoder_equals_reference(
    encoder: BertEncoder, model: transformers.BertModel, sequences: list[NDArray[np.int32]]
) -> None:
    """Compare every hidden state of a packed batch, pairs included, with transformers one at a time."""
    num_first = [max(1, len(ids) - len(ids) // 3) for ids in sequences]
    packed = PackedTokens.pack(sequences, num_first)
    expected = [reference_states(model, ids, first) for ids, first in zip(sequences, num_first, strict=True)]
    torch.testing.assert_close(encoder(packed, "sequence"), torch.cat(expected), atol=1e-5, rtol=0)
    first_tokens = torch.stack([states[0] for states in expected])
    torch.testing.assert_close(encoder(packed, "cls"), first_tokens, atol=1e-5, rtol=0)
