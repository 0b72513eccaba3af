"""The torch module that a graph describes: packed tokens → logits.

Axes: T packed tokens, B sequences, D hidden size, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bertblocks.encoder import (
    BertEncoder,
    PackedTokens,
    Pooling,
    WindowPooling,
    combine_windows,
    pool,
)

# A long text has any number of windows; so many tokens of them go through the encoder at once.
_WINDOW_TOKENS = 8192


class TextModel(nn.Module):
    """Encoder, pooling and head. Softmax, sigmoid or scaling belong to the prediction, not to it."""

    def __init__(
        self,
        encoder: BertEncoder,
        pooling: Pooling,
        head: nn.Sequential,
        window_pooling: WindowPooling = "average",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling
        self.head = head
        self.window_pooling = window_pooling

    def forward(self, packed: PackedTokens) -> Tensor:
        """Logits in float32, shape (B, C); of texts in windows one row a text."""
        logits_BC: Tensor = self.head(self.pooled(packed))
        return logits_BC

    def pooled(self, packed: PackedTokens) -> Tensor:
        """One vector a sequence in float32, shape (B, D); of texts in windows one a text."""
        if packed.windows is None:
            return self._pooled(packed)
        groups = [packed] if packed.num_tokens <= _WINDOW_TOKENS else packed.groups(_WINDOW_TOKENS)
        once = self._pooled if isinstance(groups, list) else self._pooled_again
        vectors_BD = torch.cat([once(group) for group in groups])
        return combine_windows(vectors_BD, packed.windows, self.window_pooling)

    def _pooled_again(self, packed: PackedTokens) -> Tensor:
        """As _pooled; computed again for the gradient, so that no text is too long for the memory."""
        if not torch.is_grad_enabled():
            return self._pooled(packed)
        vectors_BD: Tensor = checkpoint(self._pooled, packed, use_reentrant=False)
        return vectors_BD

    def _pooled(self, packed: PackedTokens) -> Tensor:
        if self.pooling == "cls":
            first_BD: Tensor = self.encoder(packed, "cls")
            return first_BD.float()
        return pool(self.encoder(packed, "sequence"), packed, self.pooling)
