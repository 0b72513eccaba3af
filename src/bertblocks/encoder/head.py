"""Dense layers from a pooled vector to logits.

Axes: B sequences, D width in, F width out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

DenseActivation = Literal["linear", "relu", "tanh", "gelu", "sigmoid"]

_ACTIVATIONS: dict[DenseActivation, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": nn.functional.gelu,
    "sigmoid": torch.sigmoid,
}


class DenseLayer(nn.Linear):
    """A dense layer with its activation; BERT's own pooler is one of equal width with tanh."""

    def __init__(self, in_features: int, out_features: int, activation: DenseActivation = "linear") -> None:
        super().__init__(in_features, out_features)
        self.activation = activation

    def forward(self, x_BD: Tensor) -> Tensor:
        """Activated product, shape (B, F)."""
        return _ACTIVATIONS[self.activation](super().forward(x_BD))
