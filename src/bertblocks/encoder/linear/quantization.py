"""int8: weights by output channel, activations by token, both symmetric.

Axes: T packed tokens, K what a product sums over, N output columns, n some of them.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

# Symmetric: -128 is left out, so that a value and its negative are as exact.
LARGEST = 127
# A token whose largest value is no more than this counts as zeros: 127 divided by it may not be finite.
SMALLEST = 1e-30
_ROWS_AT_ONCE = 32


class QuantizedWeight(NamedTuple):
    """A dense layer's weights in int8.

    Attributes:
        steps_NK: int8, -127 to 127.
        scale_N: What one step of each output channel is worth, float32.
    """

    steps_NK: Tensor
    scale_N: Tensor


def quantize_weight(weight_NK: Tensor) -> QuantizedWeight:
    """Round each output channel to 255 even steps.

    Args:
        weight_NK: float32.

    A channel is rounded by itself, so that weights may be quantized in parts.
    """
    steps_NK = torch.empty(weight_NK.shape, dtype=torch.int8, device=weight_NK.device)
    scale_N = torch.empty(len(weight_NK), device=weight_NK.device)
    # Some rows at a time: temporaries as large as the weights would leave holes between what is kept.
    for begin in range(0, len(weight_NK), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        weight_nK = weight_NK[rows].detach().float()
        scale_n = weight_nK.abs().amax(1).div_(LARGEST)
        steps_nK = weight_nK / scale_n.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
        steps_NK[rows], scale_N[rows] = steps_nK.round_(), scale_n
    return QuantizedWeight(steps_NK, scale_N)


def as_quantized(weight: Tensor | QuantizedWeight) -> QuantizedWeight:
    """The weights in int8, whether they are already or not."""
    return weight if isinstance(weight, QuantizedWeight) else quantize_weight(weight)


def put_quantized(linear: nn.Linear, weight: QuantizedWeight) -> None:
    """Give a layer weights of int8, which weight_of finds there; until it is prepared, it cannot compute."""
    linear.weight = nn.Parameter(weight.steps_NK, requires_grad=False)
    linear.register_buffer("weight_scale", weight.scale_N, persistent=False)


def weight_of(linear: nn.Linear) -> Tensor | QuantizedWeight:
    """A layer's weights: those that put_quantized gave it, or float32."""
    steps_or_weight = linear.weight.detach()
    if steps_or_weight.dtype == torch.int8:
        return QuantizedWeight(steps_or_weight, cast(Tensor, linear.weight_scale))
    return steps_or_weight


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
