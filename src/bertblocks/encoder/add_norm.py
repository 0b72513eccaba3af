"""Dropout, the residual connection, and the layer norm after it."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor, nn

from bertblocks.encoder import native


class AddNorm(nn.LayerNorm):
    """Layer norm of a sum (Vaswani et al. 2017, sections 3.1 and 5.4); its names are those of a layer norm.

    Args:
        hidden_size: Width of a token's vector.
        eps: Added to the variance.
        dropout: Probability of zeroing an element of what is added to the residual, while training.
    """

    def __init__(self, hidden_size: int, *, eps: float, dropout: float) -> None:
        super().__init__(hidden_size, eps=eps)
        self.dropout = dropout

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:  # type: ignore[override]
        """norm(residual + dropout(x)), of their shape."""
        dropout = self.dropout if self.training else 0.0
        if torch.is_grad_enabled() and native.can_train_norm(self, x, residual):
            return native.add_norm_in_training(
                x, residual, self.weight, self.bias, eps=self.eps, dropout=dropout
            )
        return super().forward(residual + F.dropout(x, dropout, self.training))
