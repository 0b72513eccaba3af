"""The kernels as modules that stand in for torch's.

Axes: T packed tokens, K what a product sums over, N output columns or heads, D hidden size, H head width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bertblocks.encoder.inference_only import InferenceOnly, require_no_gradient
from bertblocks.encoder.native import calls


def fits(linear: nn.Linear) -> bool:
    """Whether the kernels take a layer of these sizes."""
    return linear.in_features % calls.WIDTH_STEP == 0 and linear.out_features % calls.WIDTH_STEP == 0


class NativeLinear(InferenceOnly):
    """A dense layer, with the activation after it, in float32, bfloat16 or int8.

    Args:
        weight_NK: float32 or bfloat16, or int8 with its scales.
        scale_N: With int8, what one step of each output column is worth.
        bias_N: Added to the product.
        activation: Applied to the sum; None for none.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    offset: Tensor

    def __init__(
        self,
        weight_NK: Tensor,
        bias_N: Tensor,
        *,
        scale_N: Tensor | None = None,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.dtype = weight_NK.dtype
        self.activation = activation
        self.register_buffer("weight", calls.pack_weight(weight_NK))
        self.register_buffer("bias", bias_N.detach().float().contiguous())
        if scale_N is not None:
            self.register_buffer("scale", scale_N.float().contiguous())
            # The kernel's bytes have 128 for zero; this is what that adds to a column.
            self.register_buffer("offset", 128 * weight_NK.sum(1, dtype=torch.int32))

    def forward(self, x_TK: Tensor) -> Tensor:
        """activation(x Wᵀ + bias), shape (T, N); bfloat16 in and out, or float32 with float32 weights."""
        require_no_gradient(x_TK)
        x_TK = x_TK.contiguous()
        if self.dtype == torch.int8:
            return calls.linear_int8(x_TK, self.weight, self.scale, self.offset, self.bias, self.activation)
        return calls.linear(x_TK, self.weight, self.bias, self.activation)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._require(calls.supports(self.dtype), "native", calls.missing())


class NativeAddNorm(InferenceOnly):
    """Layer norm of a sum."""

    weight: Tensor
    bias: Tensor

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.eps = norm.eps
        self.register_buffer("weight", norm.weight.detach().float().contiguous())
        self.register_buffer("bias", norm.bias.detach().float().contiguous())

    def forward(self, x_TD: Tensor, residual_TD: Tensor) -> Tensor:
        """norm(x + residual), shape (T, D), in their type."""
        require_no_gradient(x_TD)
        return calls.add_norm(x_TD.contiguous(), residual_TD.contiguous(), self.weight, self.bias, self.eps)


def can_normalize(norm: nn.LayerNorm) -> bool:
    """Whether the layer norm kernel takes rows of this width."""
    width = norm.weight.numel()
    return width % calls.WIDTH_STEP == 0 and width <= calls.MAX_NORM_WIDTH


def can_attend(q_TNH: Tensor) -> bool:
    """Whether the attention kernel takes such queries."""
    takes_type = q_TNH.dtype in (torch.float32, torch.bfloat16)
    return takes_type and q_TNH.is_cpu and calls.missing() is None and q_TNH.shape[-1] % calls.WIDTH_STEP == 0


def can_train_norm(norm: nn.LayerNorm, x_TD: Tensor, residual_TD: Tensor) -> bool:
    """Whether there is a way back through a norm of such a sum."""
    return (
        can_normalize(norm)
        and x_TD.dtype in (torch.float32, torch.bfloat16)
        and residual_TD.dtype == norm.weight.dtype == torch.float32
        and x_TD.is_cpu
        and calls.missing() is None
    )


def attend(q_TNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, cu_seqlens: Tensor, *, first_only: bool) -> Tensor:
    """Attention inside each sequence.

    Args:
        q_TNH: Queries of all tokens; with first_only, of the first token of each sequence, (B, N, H). As k
            and v, float32 or bfloat16, with heads side by side in each row.
        k_TNH: Keys; rows are as far apart as those of v.
        v_TNH: Values.
        cu_seqlens: Offsets of the sequences, int32, shape (B + 1,).
        first_only: One query a sequence.

    Returns:
        The heads side by side, shape (T, N * H) or (B, N * H).
    """
    return calls.attention(q_TNH, k_TNH, v_TNH, cu_seqlens, first_only=first_only)
