"""Token ids → the vectors that enter the first layer.

Axes: T packed tokens, D hidden size.
"""

from __future__ import annotations

from torch import Tensor, nn

from bertblocks.encoder.config import EncoderConfig
from bertblocks.encoder.packing import PackedTokens


class Embeddings(nn.Module):
    """Sum of word, position and segment vectors, normalised (Devlin et al. 2018, figure 2)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.position_offset = config.position_offset
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segment = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, packed: PackedTokens) -> Tensor:
        """One vector for each packed token, shape (T, D)."""
        given_TD = packed.word_vectors_TD
        x_TD = self.word(packed.input_ids_T) if given_TD is None else given_TD
        x_TD = x_TD + self._segments(packed) + self.position(packed.position_ids_T + self.position_offset)
        normed_TD: Tensor = self.dropout(self.norm(x_TD))
        return normed_TD

    def _segments(self, packed: PackedTokens) -> Tensor:
        """Segment vectors; where there is one segment, pairs are told apart by their special tokens alone."""
        if self.segment.num_embeddings == 1:
            return self.segment.weight
        segments_TD: Tensor = self.segment(packed.segment_ids_T)
        return segments_TD
