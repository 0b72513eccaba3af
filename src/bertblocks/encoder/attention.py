"""Self-attention inside each packed sequence; the only file that may pad, and only on a GPU.

Axes: T packed tokens, B sequences, D hidden size, N heads, H head width, L tokens of one sequence,
n sequences of one run, M longest length, P queries, keys and values side by side, or the last two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own abbreviation
from torch import Tensor, nn

from bertblocks.encoder import native
from bertblocks.encoder.add_norm import AddNorm
from bertblocks.encoder.config import EncoderConfig
from bertblocks.encoder.packing import PackedTokens


class SelfAttention(nn.Module):
    """Multi-head attention with queries, keys and values in one product, then residual and norm.

    Attributes:
        compiled: Whether attention may run in our own kernel; to_precision says no where torch alone is
            wanted.
        first_query: Where qkv has no rows that can be taken apart, its part for the first tokens' queries.
        key_value: Likewise, its part for keys and values.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.hidden_size = config.hidden_size
        self.num_heads = config.num_attention_heads
        self.dropout_probability = config.attention_dropout
        self.qkv: nn.Module = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output: nn.Module = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm: nn.Module = AddNorm(
            config.hidden_size, eps=config.layer_norm_eps, dropout=config.hidden_dropout
        )
        self.compiled = True
        self.first_query: nn.Module | None = None
        self.key_value: nn.Module | None = None

    def forward(self, x_TD: Tensor, packed: PackedTokens) -> Tensor:
        """Attended vectors of all tokens, shape (T, D)."""
        qkv_T3NH = self.qkv(x_TD).view(len(x_TD), 3, self.num_heads, -1)
        return self._finish(self._attend(qkv_T3NH, None, packed), x_TD)

    def forward_first(self, x_TD: Tensor, packed: PackedTokens) -> Tensor:
        """Attended vectors of the first token of each sequence alone, shape (B, D)."""
        first_BD = x_TD.index_select(0, packed.first_token_indices)
        q_BD, kv_T2D = self._first_query_and_key_value(first_BD, x_TD)
        kv_T2NH = kv_T2D.view(len(x_TD), 2, self.num_heads, -1)
        q_BNH = q_BD.view(len(q_BD), self.num_heads, -1)
        return self._finish(self._attend(kv_T2NH, q_BNH, packed), first_BD)

    def _attend(self, parts_TPNH: Tensor, first_BNH: Tensor | None, packed: PackedTokens) -> Tensor:
        """Attention of all tokens, or of the first ones whose queries are given, in our kernel or torch's."""
        dropout = self.dropout_probability if self.training else 0.0
        *queries, k_TNH, v_TNH = parts_TPNH.unbind(1)
        q = queries[0] if first_BNH is None else first_BNH
        if self.compiled and native.can_attend(q):
            if torch.is_grad_enabled() and parts_TPNH.requires_grad:
                return native.attend_in_training(parts_TPNH, first_BNH, packed.cu_seqlens, dropout=dropout)
            if dropout == 0.0:
                first_only = first_BNH is not None
                return native.attend(q, k_TNH, v_TNH, packed.cu_seqlens, first_only=first_only)
        return (attend if first_BNH is None else attend_first)(q, k_TNH, v_TNH, packed, dropout)

    def _first_query_and_key_value(self, first_BD: Tensor, x_TD: Tensor) -> tuple[Tensor, Tensor]:
        if self.first_query is not None and self.key_value is not None:
            return self.first_query(first_BD), self.key_value(x_TD)
        D, qkv = self.hidden_size, cast(nn.Linear, self.qkv)
        weight, bias = qkv.weight, qkv.bias
        return F.linear(first_BD, weight[:D], bias[:D]), F.linear(x_TD, weight[D:], bias[D:])

    def _finish(self, mixed: Tensor, residual: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.output(mixed), residual)
        return normed


def attend(q_TNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, packed: PackedTokens, dropout: float) -> Tensor:
    """Softmax(q kᵀ / √H) v within each sequence.

    On a CPU each run of equal lengths is one dense call. On CUDA it is one call in all: PyTorch's varlen
    kernel where it can (half precision, no dropout), else a padded batch with a mask.

    Returns:
        The heads side by side, shape (T, D).
    """
    if q_TNH.is_cuda:
        kernel = _varlen_kernel_for(q_TNH, dropout)
        if kernel is not None:
            return _attend_varlen(kernel, q_TNH, k_TNH, v_TNH, packed)
        slots_T = _padded_slots(packed)
        q_BMNH = _pad(q_TNH, packed, slots_T)
        mixed_BMNH = _attend_padded(q_BMNH, k_TNH, v_TNH, packed, slots_T, dropout)
        return mixed_BMNH.flatten(0, 1).index_select(0, slots_T).flatten(1)
    runs = []
    for run in packed.equal_length_runs():
        q, k, v = (_run_view(x, run.start, run.stop, run.num_sequences) for x in (q_TNH, k_TNH, v_TNH))
        mixed_nNLH = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        runs.append(mixed_nNLH.transpose(1, 2).reshape(run.stop - run.start, -1))
    return torch.cat(runs)


def _attend_varlen(
    kernel: Callable[..., Tensor], q: Tensor, k_TNH: Tensor, v_TNH: Tensor, packed: PackedTokens
) -> Tensor:
    """One call of the varlen kernel, for a query of every token or of each sequence's first one.

    The kernel takes int32 offsets and views whose last axis is contiguous, and masks nothing by default.
    """
    longest = longest_query = max(packed.lengths)
    query_offsets = packed.cu_seqlens
    if len(q) != packed.num_tokens:
        query_offsets = torch.arange(len(q) + 1, dtype=torch.int32, device=q.device)
        longest_query = 1
    return kernel(q, k_TNH, v_TNH, query_offsets, packed.cu_seqlens, longest_query, longest).flatten(1)


def _varlen_kernel_for(q: Tensor, dropout: float) -> Callable[..., Tensor] | None:
    """The varlen kernel, where it takes such queries and weights are not dropped, which it cannot do."""
    return _varlen_kernel() if dropout == 0.0 and _varlen_takes(q) else None


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
        kernel = _varlen_kernel_for(q_BNH, dropout)
        if kernel is not None:
            return _attend_varlen(kernel, q_BNH, k_TNH, v_TNH, packed)
        slots_T = _padded_slots(packed)
        return _attend_padded(q_BNH.unsqueeze(1), k_TNH, v_TNH, packed, slots_T, dropout).flatten(1)
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
    q_BMNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, packed: PackedTokens, slots_T: Tensor, dropout: float
) -> Tensor:
    """Attention over padded keys and values, for GPUs; M queries a sequence, or one. Shape as q's."""
    k_BNMH, v_BNMH = (_pad(x, packed, slots_T).transpose(1, 2) for x in (k_TNH, v_TNH))
    is_token_BM = _pad(torch.ones_like(packed.input_ids_T, dtype=torch.bool), packed, slots_T)
    mixed_BNMH = F.scaled_dot_product_attention(
        q_BMNH.transpose(1, 2), k_BNMH, v_BNMH, attn_mask=is_token_BM[:, None, None, :], dropout_p=dropout
    )
    return mixed_BNMH.transpose(1, 2)


def _padded_slots(packed: PackedTokens) -> Tensor:
    """Which row of a padded batch, its sequences end to end, each packed token lies in; shape (T,)."""
    sequence_T = torch.repeat_interleave(packed.cu_seqlens.diff(), output_size=packed.num_tokens)
    return sequence_T * max(packed.lengths) + packed.position_ids_T


def _pad(x: Tensor, packed: PackedTokens, slots_T: Tensor) -> Tensor:
    """Spread packed rows over a padded batch of zeros, shape (B, M, ...).

    Rows are copied and selected by number: the gradient of x[indices] sorts the indices on a GPU.
    """
    num_sequences, longest = packed.num_sequences, max(packed.lengths)
    rows = x.new_zeros((num_sequences * longest, *x.shape[1:])).index_copy(0, slots_T, x)
    return rows.view(num_sequences, longest, *x.shape[1:])
