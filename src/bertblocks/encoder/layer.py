"""One transformer layer: attention, then a feed-forward network, each with residual and norm after it.

Axes: T packed tokens, B sequences, D hidden size.
"""

from __future__ import annotations

from torch import Tensor, nn

from bertblocks.encoder.activations import activate
from bertblocks.encoder.add_norm import AddNorm
from bertblocks.encoder.attention import SelfAttention
from bertblocks.encoder.config import Activation, EncoderConfig
from bertblocks.encoder.packing import PackedTokens


class FeedForward(nn.Module):
    """Two dense layers with the activation between them, for each token by itself."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.activation: Activation | None = config.activation
        self.intermediate: nn.Module = nn.Linear(config.hidden_size, config.intermediate_size)
        self.output: nn.Module = nn.Linear(config.intermediate_size, config.hidden_size)
        self.norm: nn.Module = AddNorm(
            config.hidden_size, eps=config.layer_norm_eps, dropout=config.hidden_dropout
        )

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of the same shape, (T, D) or (B, D)."""
        activated = activate(self.intermediate(x), self.activation)
        normed: Tensor = self.norm(self.output(activated), x)
        return normed


class EncoderLayer(nn.Module):
    """One of the encoder's layers."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.feed_forward = FeedForward(config)

    def forward(self, x_TD: Tensor, packed: PackedTokens) -> Tensor:
        """All tokens' vectors after this layer, shape (T, D)."""
        out_TD: Tensor = self.feed_forward(self.attention(x_TD, packed))
        return out_TD

    def forward_first(self, x_TD: Tensor, packed: PackedTokens) -> Tensor:
        """The first tokens' vectors after this layer, shape (B, D); nothing is computed for the others."""
        out_BD: Tensor = self.feed_forward(self.attention.forward_first(x_TD, packed))
        return out_BD
