"""The torch module that a graph describes: packed tokens → logits.

Axes: T packed tokens, B sequences, D hidden size, C outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from bertblocks.encoder import BertEncoder, PackedTokens, Pooling, pool


class TextModel(nn.Module):
    """Encoder, pooling and head. Softmax, sigmoid or scaling belong to the prediction, not to it."""

    def __init__(self, encoder: BertEncoder, pooling: Pooling, head: nn.Sequential) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.head = head

    def forward(self, packed: PackedTokens) -> Tensor:
        """Logits in float32, shape (B, C)."""
        logits_BC: Tensor = self.head(self.pooled(packed))
        return logits_BC

    def pooled(self, packed: PackedTokens) -> Tensor:
        """One vector a sequence in float32, shape (B, D)."""
        if self.pooling == "cls":
            first_BD: Tensor = self.encoder(packed, "cls")
            return first_BD.float()
        return pool(self.encoder(packed, "sequence"), packed, self.pooling)
