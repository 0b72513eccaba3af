"""The kernels with a way back: attention, and dropout with residual and norm.

Dropout masks are counted from a seed, not kept: both ways draw the same one. The seeds come from torch's
generator. What is kept for the way back is kept by autograd, which frees it afterwards, knows of weights that
were changed in between, and lets checkpointing do without it.

Axes: T packed tokens, P queries, keys and values, or the last two, B sequences, N heads, H head width,
D hidden size.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bertblocks.encoder.native import calls


def attend_in_training(
    parts_TPNH: Tensor, first_BNH: Tensor | None, cu_seqlens: Tensor, *, dropout: float
) -> Tensor:
    """native.attend with a gradient, and dropout of the attention weights.

    Args:
        parts_TPNH: Queries, keys and values of all tokens side by side; keys and values where first_BNH is
            given.
        first_BNH: Queries of the first token of each sequence, where only these are wanted.
        cu_seqlens: Offsets of the sequences, int32, shape (B + 1,).
        dropout: Probability of zeroing an attention weight.

    Returns:
        The heads side by side, shape (T, N * H) or (B, N * H).
    """
    mixed: Tensor = _Attention.apply(parts_TPNH, first_BNH, cu_seqlens, dropout, _seed(dropout))  # type: ignore[no-untyped-call]
    return mixed


def add_norm_in_training(
    x_TD: Tensor, residual_TD: Tensor, weight_D: Tensor, bias_D: Tensor, *, eps: float, dropout: float
) -> Tensor:
    """norm(residual + dropout(x)), shape (T, D), with a gradient.

    x is float32 or bfloat16, everything else float32.
    """
    normed_TD: Tensor = _AddNorm.apply(  # type: ignore[no-untyped-call]
        x_TD, residual_TD, weight_D, bias_D, eps, dropout, _seed(dropout)
    )
    return normed_TD


def _seed(dropout: float) -> int:
    """63 random bits; none are drawn where nothing is dropped."""
    return int(torch.empty((), dtype=torch.int64).random_()) if dropout else 0


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        parts_TPNH: Tensor,
        first_BNH: Tensor | None,
        cu_seqlens: Tensor,
        dropout: float,
        seed: int,
    ) -> Tensor:
        q_TNH, k_TNH, v_TNH = _taken_apart(parts_TPNH, first_BNH)
        log_sum_TN = torch.empty(q_TNH.shape[:2])
        ctx.save_for_backward(parts_TPNH, first_BNH, cu_seqlens, log_sum_TN)
        ctx.options = {"first_only": first_BNH is not None, "dropout": dropout, "seed": seed}
        return calls.attention(q_TNH, k_TNH, v_TNH, cu_seqlens, log_sum_TN=log_sum_TN, **ctx.options)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
        parts_TPNH, first_BNH, cu_seqlens, log_sum_TN = ctx.saved_tensors
        d_parts = torch.empty_like(parts_TPNH)
        d_first = None if first_BNH is None else torch.empty_like(first_BNH)
        calls.attention_backward(
            *_taken_apart(parts_TPNH, first_BNH),
            cu_seqlens,
            d_out.contiguous(),
            _taken_apart(d_parts, d_first),
            log_sum_TN=log_sum_TN,
            **ctx.options,
        )
        return d_parts, d_first, None, None, None


def _taken_apart(parts_TPNH: Tensor, first_BNH: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values."""
    parts = parts_TPNH.unbind(1)
    return (parts[0] if first_BNH is None else first_BNH), parts[-2], parts[-1]


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x_TD: Tensor,
        residual_TD: Tensor,
        weight_D: Tensor,
        bias_D: Tensor,
        eps: float,
        dropout: float,
        seed: int,
    ) -> Tensor:
        weight_D = weight_D.contiguous()
        normed_TD, kept = calls.norm_forward(
            x_TD.contiguous(),
            residual_TD.contiguous(),
            weight_D,
            bias_D.contiguous(),
            eps=eps,
            dropout=dropout,
            seed=seed,
        )
        ctx.save_for_backward(weight_D, *kept)
        ctx.options = {"x_dtype": x_TD.dtype, "dropout": dropout, "seed": seed}
        return normed_TD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_TD: Tensor) -> tuple[Tensor | None, ...]:
        weight_D, *kept = ctx.saved_tensors
        gradients = calls.norm_backward(dy_TD.contiguous(), weight_D, calls.KeptByNorm(*kept), **ctx.options)
        return (*gradients, None, None, None)
