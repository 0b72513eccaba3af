"""Everything that an encoder computes for one sequence, layer by layer, so that it can be shown.

It runs the encoder's own modules, and takes attention apart into queries, keys, values and weights, which the
encoder itself never holds. What comes out at the end equals what the encoder gives.

Axes: L tokens, D hidden size, N heads, H head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from bertblocks.encoder import BertEncoder, PackedTokens
from bertblocks.encoder.layer import EncoderLayer
from bertblocks.errors import ConfigError, ShapeError


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerReading:
    """What one layer computes.

    Attributes:
        queries_NLH: What each token asks for, in each head.
        keys_NLH: What each token is found by.
        values_NLH: What each token hands over.
        weights_NLL: How much of each token's value (last axis) each token takes; every row sums to 1.
        output_LD: The tokens' vectors after the layer.
    """

    queries_NLH: Tensor
    keys_NLH: Tensor
    values_NLH: Tensor
    weights_NLL: Tensor
    output_LD: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class EncoderReading:
    """What an encoder computes for one sequence.

    Attributes:
        words_LD: Each token's row of the word embedding.
        positions_LD: The row of its position.
        segments_LD: The row of its segment.
        embedded_LD: Their sum, normalised: what enters the first layer.
        layers: What follows.
    """

    words_LD: Tensor
    positions_LD: Tensor
    segments_LD: Tensor
    embedded_LD: Tensor
    layers: tuple[LayerReading, ...]

    @property
    def states(self) -> list[Tensor]:
        """The tokens' vectors before the first layer and after each, (L, D) each."""
        return [self.embedded_LD, *(layer.output_LD for layer in self.layers)]


@torch.no_grad()
def read_encoder(encoder: BertEncoder, packed: PackedTokens) -> EncoderReading:
    """Run an encoder over one sequence and keep what is computed on the way.

    Args:
        encoder: float32, not prepared for kernels; it is read in evaluation mode.
        packed: One sequence.

    Raises:
        ConfigError: If the encoder has been prepared for another precision or for kernels.
        ShapeError: If there are several sequences.
    """
    embeddings = encoder.embeddings
    if encoder.kernels is not None or embeddings.word.weight.dtype != torch.float32:
        raise ConfigError(
            "Queries, keys and values are read from an encoder's float32 weights, and this one was prepared "
            "to answer in another way: load the model again with load_model(folder)."
        )
    if packed.num_sequences != 1:
        raise ShapeError(f"One sequence is read at a time; found {packed.num_sequences}.")
    encoder.eval()
    packed = packed.to(embeddings.word.weight.device)
    x_LD = embeddings(packed)
    one_segment = embeddings.segment.num_embeddings == 1
    segments = torch.zeros_like(packed.segment_ids_T) if one_segment else packed.segment_ids_T
    layers = []
    embedded_LD = x_LD
    for module in encoder.layers:
        layers.append(_read_layer(cast(EncoderLayer, module), x_LD))
        x_LD = layers[-1].output_LD
    return EncoderReading(
        words_LD=embeddings.word(packed.input_ids_T),
        positions_LD=embeddings.position(packed.position_ids_T + embeddings.position_offset),
        segments_LD=embeddings.segment(segments),
        embedded_LD=embedded_LD,
        layers=tuple(layers),
    )


def _read_layer(layer: EncoderLayer, x_LD: Tensor) -> LayerReading:
    attention = layer.attention
    qkv_L3NH = attention.qkv(x_LD).view(len(x_LD), 3, attention.num_heads, -1)
    q_NLH, k_NLH, v_NLH = (part_LNH.transpose(0, 1) for part_LNH in qkv_L3NH.unbind(1))
    scores_NLL = q_NLH @ k_NLH.transpose(1, 2) / math.sqrt(q_NLH.shape[-1])
    weights_NLL = scores_NLL.softmax(-1)
    mixed_LD = (weights_NLL @ v_NLH).transpose(0, 1).flatten(1)
    attended_LD = attention.norm(attention.output(mixed_LD), x_LD)
    return LayerReading(
        queries_NLH=q_NLH,
        keys_NLH=k_NLH,
        values_NLH=v_NLH,
        weights_NLL=weights_NLL,
        output_LD=layer.feed_forward(attended_LD),
    )
