"""int8: weights by output channel, activations by token, both symmetric.

Axes: T packed tokens, K what a product sums over, N output columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Symmetric: -128 is left out, so that a value and its negative are as exact.
LARGEST = 127
# A token whose largest value is no more than this counts as zeros: 127 divided by it may not be finite.
SMALLEST = 1e-30


def quantize_weight(weight_NK: Tensor) -> tuple[Tensor, Tensor]:
    """Round each output channel to 255 even steps.

    Args:
        weight_NK: float32.

    Returns:
        Steps, int8 (N, K), and what one step of each channel is worth, float32 (N,).
    """
    weight_NK = weight_NK.detach().float()
    scale_N = weight_NK.abs().amax(1).div_(LARGEST)
    steps_NK = weight_NK / scale_N.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    return steps_NK.round_().to(torch.int8), scale_N


def quantize_tokens(x_TK: Tensor) -> tuple[Tensor, Tensor]:
    """Round each token's vector to 255 even steps of its own, so that its neighbours do not matter.

    Returns:
        Steps, float32 (T, K), and what one step of each token is worth, float32 (T, 1).
    """
    x_TK = x_TK.float()
    largest_T1 = x_TK.abs().amax(1, keepdim=True)
    # In this order, and with a true division, so that halves are rounded as our own kernels round them.
    inverse_T1 = torch.where(largest_T1 > SMALLEST, torch.full_like(largest_T1, LARGEST) / largest_T1, 0.0)
    return (x_TK * inverse_T1).round_(), largest_T1 / LARGEST
