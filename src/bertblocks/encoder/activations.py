"""What stands between the two dense layers of a feed-forward network."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor

from bertblocks.encoder.config import Activation


def activate(x: Tensor, activation: Activation | None) -> Tensor:
    """Apply an activation, or none; which GELU a checkpoint means: docs/numerics.md, 1."""
    if activation is None:
        return x
    if activation == "relu":
        return F.relu(x)
    return F.gelu(x, approximate="tanh" if activation == "gelu_tanh" else "none")
