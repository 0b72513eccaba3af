"""The compiled part, if it is there: what it can do here, and its functions with tensors for arguments.

Axes: T packed tokens, K what a product sums over, N output columns or heads, B sequences, H head width,
D hidden size.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch  # Before the kernels: they share the OpenMP runtime that torch brings along.
from torch import Tensor

from bertblocks.errors import ConfigError

_NOT_BUILT = "the compiled part was not built when bertblocks was installed"
_why_missing: str | None = None
try:
    from bertblocks.encoder.native import _kernels
except ImportError as _error:
    # A part that is there and cannot be loaded says why: for want of a library, or for another Python.
    _is_there = not isinstance(_error, ModuleNotFoundError) and "cannot import name" not in str(_error)
    _why_missing = f"the compiled part cannot be loaded: {_error}" if _is_there else _NOT_BUILT
    _kernels = None  # type: ignore[assignment]

# The widest row that add_norm takes, MAX_NORM_WIDTH in kernels.h.
MAX_NORM_WIDTH = 8192
# All widths are multiples of it: PANEL in simd.h.
WIDTH_STEP = 32
_ACTIVATIONS = {None: 0, "gelu": 1, "gelu_tanh": 2, "relu": 3}


class _Processor(NamedTuple):
    """What the kernels need: AVX-512 with VNNI for all, bfloat16 instructions for products of that type."""

    vnni: bool
    bfloat16: bool


@cache
def _processor() -> _Processor | None:
    return None if _kernels is None else _Processor(*_kernels.processor())


def supports(dtype: torch.dtype) -> bool:
    """Whether there are kernels for products of this type here: float32, bfloat16 or int8."""
    here = _processor()
    return here is not None and (here.bfloat16 if dtype == torch.bfloat16 else here.vnni)


def missing() -> str | None:
    """Why there are no kernels here, in words; None where there are."""
    here = _processor()
    if here is None:
        return _why_missing or _NOT_BUILT
    return None if here.vnni else "this processor has no AVX-512 with VNNI"


def takes(width: int) -> bool:
    """Whether there are kernels here, and they take rows of this width."""
    return missing() is None and width % WIDTH_STEP == 0


def pack_weight(weight_NK: Tensor) -> Tensor:
    """The weights in the kernels' own order; of the same type and size."""
    N, K = weight_NK.shape
    weight_NK = weight_NK.contiguous()
    packed_NK = torch.empty_like(weight_NK)
    _kernels.pack_weight(weight_NK.data_ptr(), N, K, weight_NK.element_size(), packed_NK.data_ptr())
    return packed_NK


def _require(x: Tensor, dtype: torch.dtype, width: int) -> None:
    """Refuse what a kernel would take for something else: it sees addresses alone.

    Raises:
        ConfigError: If x has another type or width, or is not on the CPU.
    """
    if x.dtype != dtype or x.shape[1] != width or not x.is_cpu:
        raise ConfigError(
            f"The native kernels were prepared for rows of {width} in {dtype} on the CPU, but found rows of "
            f"{x.shape[1]} in {x.dtype} on {x.device}. A prepared encoder cannot be converted or moved, nor "
            "run under torch.autocast: load the model again for another precision or device."
        )


def quantize_rows(x_TK: Tensor) -> tuple[Tensor, Tensor]:
    """Bytes with 128 for zero, uint8 (T, K), and what one step of each row is worth, float32 (T,)."""
    T, K = x_TK.shape
    _require(x_TK, torch.bfloat16, K)
    q_TK = torch.empty((T, K), dtype=torch.uint8)
    scale_T = torch.empty(T)
    _kernels.quantize_rows(
        x_TK.data_ptr(), T, K, q_TK.data_ptr(), scale_T.data_ptr(), torch.get_num_threads()
    )
    return q_TK, scale_T


def rescale_rows(y_TN: Tensor, scale_T: Tensor, bias_N: Tensor, activation: str | None) -> Tensor:
    """activation(y * scale + bias), in place; y is bfloat16, scale and bias float32."""
    T, N = y_TN.shape
    _kernels.rescale_rows(
        y_TN.data_ptr(), T, N, scale_T.data_ptr(), bias_N.data_ptr(), _ACTIVATIONS[activation],
        torch.get_num_threads(),
    )  # fmt: skip
    return y_TN


def linear(x_TK: Tensor, packed_NK: Tensor, bias_N: Tensor, activation: str | None) -> Tensor:
    """activation(x Wᵀ + bias), shape (T, N), in x's type: float32 or bfloat16."""
    T = len(x_TK)
    N, K = packed_NK.shape
    _require(x_TK, packed_NK.dtype, K)
    y_TN = torch.empty((T, N), dtype=x_TK.dtype)
    _kernels.linear(
        x_TK.data_ptr(), T, K, N, x_TK.element_size(), packed_NK.data_ptr(), bias_N.data_ptr(),
        _ACTIVATIONS[activation], y_TN.data_ptr(), torch.get_num_threads(), 0, 0, 0,
    )  # fmt: skip
    return y_TN


def linear_int8(
    x_TK: Tensor, packed_NK: Tensor, scale_N: Tensor, offset_N: Tensor, bias_N: Tensor, activation: str | None
) -> Tensor:
    """The same with weights of int8, x and the result in bfloat16; x is quantized row by row."""
    T = len(x_TK)
    N, K = packed_NK.shape
    _require(x_TK, torch.bfloat16, K)
    q_TK, scale_T = quantize_rows(x_TK)
    y_TN = torch.empty((T, N), dtype=torch.bfloat16)
    _kernels.linear(
        q_TK.data_ptr(), T, K, N, 1, packed_NK.data_ptr(), bias_N.data_ptr(), _ACTIVATIONS[activation],
        y_TN.data_ptr(), torch.get_num_threads(), scale_T.data_ptr(), scale_N.data_ptr(), offset_N.data_ptr(),
    )  # fmt: skip
    return y_TN


def add_norm(x_TD: Tensor, residual_TD: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float) -> Tensor:
    """Layer norm of x + residual, in their type; weight and bias are float32."""
    T, D = x_TD.shape
    _require(x_TD, residual_TD.dtype, len(weight_D))
    y_TD = torch.empty_like(x_TD)
    _kernels.add_norm(
        x_TD.data_ptr(), residual_TD.data_ptr(), T, D, x_TD.element_size(), weight_D.data_ptr(),
        bias_D.data_ptr(), y_TD.data_ptr(), torch.get_num_threads(), eps,
    )  # fmt: skip
    return y_TD


def attention(
    q_TNH: Tensor,
    k_TNH: Tensor,
    v_TNH: Tensor,
    cu_seqlens: Tensor,
    *,
    first_only: bool,
    dropout: float = 0.0,
    seed: int = 0,
    log_sum_TN: Tensor | None = None,
) -> Tensor:
    """Attention inside each sequence, (T, N * H); with first_only q and the result have one row each.

    log_sum_TN, float32 and of q's rows, is filled for attention_backward.
    """
    rows, N, H = q_TNH.shape
    out = torch.empty((rows, N * H), dtype=q_TNH.dtype)
    _kernels.attention(
        *_attention_arguments(q_TNH, k_TNH, v_TNH, cu_seqlens, first_only, out, log_sum_TN, seed), dropout
    )
    return out


def attention_backward(
    q_TNH: Tensor,
    k_TNH: Tensor,
    v_TNH: Tensor,
    cu_seqlens: Tensor,
    d_out: Tensor,
    gradients: tuple[Tensor, Tensor, Tensor],
    *,
    first_only: bool,
    dropout: float,
    seed: int,
    log_sum_TN: Tensor,
) -> None:
    """Fill the gradients of q, k and v, which lie as these do."""
    _kernels.attention_backward(
        *_attention_arguments(q_TNH, k_TNH, v_TNH, cu_seqlens, first_only, None, log_sum_TN, seed),
        d_out.data_ptr(),
        *(gradient.data_ptr() for gradient in gradients),
        dropout,
    )


def _attention_arguments(
    q_TNH: Tensor,
    k_TNH: Tensor,
    v_TNH: Tensor,
    cu_seqlens: Tensor,
    first_only: bool,
    out: Tensor | None,
    log_sum_TN: Tensor | None,
    seed: int,
) -> tuple[int, ...]:
    _, N, H = q_TNH.shape
    _require_attention(q_TNH, k_TNH, v_TNH, cu_seqlens)
    return (
        q_TNH.data_ptr(), k_TNH.data_ptr(), v_TNH.data_ptr(), q_TNH.stride(0), k_TNH.stride(0),
        cu_seqlens.data_ptr(), len(cu_seqlens) - 1, N, H, int(first_only), q_TNH.element_size(),
        0 if out is None else out.data_ptr(), torch.get_num_threads(),
        0 if log_sum_TN is None else log_sum_TN.data_ptr(), seed,
    )  # fmt: skip


def _require_attention(q_TNH: Tensor, k_TNH: Tensor, v_TNH: Tensor, cu_seqlens: Tensor) -> None:
    """Refuse what the kernel would read as something else.

    Raises:
        ConfigError: If types or places in memory are others than it takes.
    """
    H = q_TNH.shape[-1]
    offsets_fit = cu_seqlens.dtype == torch.int32 and cu_seqlens.is_cpu and cu_seqlens.is_contiguous()
    same = k_TNH.dtype == v_TNH.dtype == q_TNH.dtype and k_TNH.stride() == v_TNH.stride()
    side_by_side = q_TNH.stride()[1:] == k_TNH.stride()[1:] == (H, 1) or q_TNH.shape[1] == 1
    if not (offsets_fit and same and side_by_side):
        raise ConfigError(
            "The attention kernel takes int32 offsets on the CPU, and queries, keys and values of one type "
            f"with heads of {H} side by side; found offsets in {cu_seqlens.dtype} on {cu_seqlens.device}, "
            f"and queries, keys and values in {q_TNH.dtype}, {k_TNH.dtype} and {v_TNH.dtype} with strides "
            f"{q_TNH.stride()}, {k_TNH.stride()} and {v_TNH.stride()}."
        )


class KeptByNorm(NamedTuple):
    """What a layer norm in training keeps for the way back, all float32.

    Attributes:
        sum_TD: residual + dropout(x).
        mean_T: Of each row.
        scale_T: 1 / sqrt(variance + eps).
    """

    sum_TD: Tensor
    mean_T: Tensor
    scale_T: Tensor


def norm_forward(
    x_TD: Tensor,
    residual_TD: Tensor,
    weight_D: Tensor,
    bias_D: Tensor,
    *,
    eps: float,
    dropout: float,
    seed: int,
) -> tuple[Tensor, KeptByNorm]:
    """norm(residual + dropout(x)), float32 (T, D); x is float32 or bfloat16, all else float32."""
    T = len(x_TD)
    kept = KeptByNorm(torch.empty_like(residual_TD), torch.empty(T), torch.empty(T))
    y_TD, eps_1 = torch.empty_like(residual_TD), torch.tensor([eps])
    _kernels.norm_forward(
        x_TD.data_ptr(), residual_TD.data_ptr(), *_norm_sizes(kept, x_TD.dtype), weight_D.data_ptr(),
        bias_D.data_ptr(), eps_1.data_ptr(), seed, *_addresses(kept), y_TD.data_ptr(),
        torch.get_num_threads(), dropout,
    )  # fmt: skip
    return y_TD, kept


def norm_backward(
    dy_TD: Tensor, weight_D: Tensor, kept: KeptByNorm, *, x_dtype: torch.dtype, dropout: float, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, in its type, and of residual, weight and bias."""
    dx_TD, d_residual_TD = torch.empty_like(dy_TD, dtype=x_dtype), torch.empty_like(dy_TD)
    sums = torch.zeros((torch.get_num_threads(), 2, dy_TD.shape[1]))
    # x, residual, bias and eps are of no use on the way back; eps must be an address all the same.
    unused = kept.scale_T.data_ptr()
    _kernels.norm_backward(
        0, 0, *_norm_sizes(kept, x_dtype), weight_D.data_ptr(), 0, unused, seed, *_addresses(kept), 0,
        torch.get_num_threads(), dy_TD.data_ptr(), dx_TD.data_ptr(), d_residual_TD.data_ptr(),
        sums.data_ptr(), dropout,
    )  # fmt: skip
    return dx_TD, d_residual_TD, sums[0, 0], sums[0, 1]


def _norm_sizes(kept: KeptByNorm, x_dtype: torch.dtype) -> tuple[int, int, int]:
    T, D = kept.sum_TD.shape
    return T, D, x_dtype.itemsize


def _addresses(kept: KeptByNorm) -> tuple[int, int, int]:
    return kept.sum_TD.data_ptr(), kept.mean_T.data_ptr(), kept.scale_T.data_ptr()
