"""Self-attention inside each packed sequence; the only file that may pad, and only on a GPU.

Axes: T packed tokens, B sequences, D hidden size, N heads, H head width, L tokens of one sequence,
n sequences of one run, M longest length.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor, nn

from bertblocks.encoder.config import EncoderConfig
from bertblocks.encoder.packing import PackedTokens


class SelfAttention(nn.Module):
    """Multi-head attention with queries, keys and values in one product, then residual and norm."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.hidden_size = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.dropout_probability = config.attention_dropout
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, x_TD: Tensor, packed: PackedTokens) -> Tensor:
        """Attended vectors of all tokens, shape (T, D)."""
        qkv_T3NH = self.qkv(x_TD).view(len(x_TD), 3, self.num_heads, -1)
        q_TNH, k_TNH, v_TNH = qkv_T3NH.unbind(1)
        mixed_TD = attend(q_TNH, k_TNH, v_TNH, packed, self._dropout_now)
        return self._finish(mixed_TD, x_TD)

    def forward_first(self, x_TD: Tensor, packed: PackedTokens) -> Tensor:
        """Attended vectors of the first token of each sequence alone, shape (B, D)."""
        D = self.hidden_size
        first_BD = x_TD[packed.first_token_indices]
        q_BD = F.linear(first_BD, self.qkv.weight[:D], self.qkv.bias[:D])
        kv_T2D = F.linear(x_TD, self.qkv.weight[D:], self.qkv.bias[D:])
        k_TNH, v_TNH = kv_T2D.view(len(x_TD), 2, self.num_heads, -1).unbind(1)
        q_BNH = q_BD.view(len(q_BD), self.num_heads, -1)
        mixed_BD = attend_first(q_BNH, k_TNH, v_TNH, packed, self._dropout_now)
        return self._finish(mixed_BD, first_BD)

    @property
    def _dropout_now(self) -> float:
        return self.dropout_probability if self.training else 0.0

    def _finish(self, mixed: Tensor, residual: Tensor) -> Tensor:
        normed: Tensor = self.norm(residual + self.dropout(self.output(mixed)))
        return normed


def attend(q_TNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, packed: PackedTokens, dropout: float) -> Tensor:
    """Softmax(q kᵀ / √H) v within each sequence.

    On a CPU each run of equal lengths is one dense call. On CUDA it is one call in all: PyTorch's varlen
    kernel where it can (half precision, no dropout), else a padded batch with a mask.

    Returns:
        The heads side by side, shape (T, D).
    """
    if q_TNH.is_cuda:
        kernel = _varlen_kernel() if dropout == 0.0 and _varlen_takes(q_TNH) else None
        if kernel is not None:
            longest, offsets = max(packed.lengths), packed.cu_seqlens
            return kernel(q_TNH, k_TNH, v_TNH, offsets, offsets, longest, longest).flatten(1)
        slots = _padded_slots(packed)
        q_BMNH = _pad(q_TNH, packed, slots)
        return _attend_padded(q_BMNH, k_TNH, v_TNH, packed, dropout)[slots].flatten(1)
    runs = []
    for run in packed.equal_length_runs():
        q, k, v = (_run_view(x, run.start, run.stop, run.num_sequences) for x in (q_TNH, k_TNH, v_TNH))
        mixed_nNLH = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        runs.append(mixed_nNLH.transpose(1, 2).reshape(run.stop - run.start, -1))
    return torch.cat(runs)


def _varlen_takes(q_TNH: Tensor) -> bool:
    """Whether the varlen kernel has a form for these: half precision, its head widths, Ampere or newer."""
    head_size = q_TNH.shape[-1]
    return (
        q_TNH.dtype in (torch.bfloat16, torch.float16)
        and head_size % 8 == 0
        and head_size <= 256
        and torch.cuda.get_device_capability(q_TNH.device) >= (8, 0)
    )


@cache
def _varlen_kernel() -> Callable[..., Tensor] | None:
    """PyTorch's attention over packed sequences; None before torch 2.10.

    Imported where it is needed: it brings torch's compiler along, which takes as long as torch itself.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return cast(Callable[..., Tensor], varlen_attn)


def attend_first(q_BNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, packed: PackedTokens, dropout: float) -> Tensor:
    """Attention with one query a sequence: that of its first token.

    Returns:
        The heads side by side, shape (B, D).
    """
    if q_BNH.is_cuda:
        return _attend_padded(q_BNH.unsqueeze(1), k_TNH, v_TNH, packed, dropout).flatten(1)
    runs = []
    first = 0
    for run in packed.equal_length_runs():
        q_nN1H = q_BNH[first : first + run.num_sequences].unsqueeze(2)
        k, v = (_run_view(x, run.start, run.stop, run.num_sequences) for x in (k_TNH, v_TNH))
        runs.append(F.scaled_dot_product_attention(q_nN1H, k, v, dropout_p=dropout).flatten(1))
        first += run.num_sequences
    return torch.cat(runs)


def _run_view(x_TNH: Tensor, start: int, stop: int, num_sequences: int) -> Tensor:
    """A run of equal lengths as a dense batch, shape (n, N, L, H); a view, nothing is copied."""
    return x_TNH[start:stop].view(num_sequences, -1, *x_TNH.shape[1:]).transpose(1, 2)


def _attend_padded(
    q_BMNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, packed: PackedTokens, dropout: float
) -> Tensor:
    """Attention over padded keys and values, for GPUs; M queries a sequence, or one. Shape as q's."""
    slots = _padded_slots(packed)
    k_BNMH, v_BNMH = (_pad(x, packed, slots).transpose(1, 2) for x in (k_TNH, v_TNH))
    is_token_BM = _pad(torch.ones_like(packed.input_ids_T, dtype=torch.bool), packed, slots)
    mixed_BNMH = F.scaled_dot_product_attention(
        q_BMNH.transpose(1, 2), k_BNMH, v_BNMH, attn_mask=is_token_BM[:, None, None, :], dropout_p=dropout
    )
    return mixed_BNMH.transpose(1, 2)


def _padded_slots(packed: PackedTokens) -> tuple[Tensor, Tensor]:
    """Where each packed token lies in a padded batch: its sequence and its position in it."""
    sequence_T = torch.repeat_interleave(packed.cu_seqlens.diff(), output_size=packed.num_tokens)
    return sequence_T, packed.position_ids_T


def _pad(x: Tensor, packed: PackedTokens, slots: tuple[Tensor, Tensor]) -> Tensor:
    """Spread packed rows over a padded batch of zeros, shape (B, M, ...)."""
    shape = (packed.num_sequences, max(packed.lengths), *x.shape[1:])
    return x.new_zeros(shape).index_put(slots, x)
