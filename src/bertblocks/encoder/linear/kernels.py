"""Which library multiplies: chosen by the processor and by what is installed, and checked by value.

Axes: T packed tokens, K what a product sums over, N output columns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn

from bertblocks.encoder import native
from bertblocks.encoder.config import Activation
from bertblocks.encoder.linear.int8_layers import (
    OneDnnInt8Linear,
    PlainInt8Linear,
    ZentorchInt8Linear,
    has_onednn,
    has_zentorch,
)
from bertblocks.encoder.linear.quantization import QuantizedWeight, as_quantized, weight_of
from bertblocks.errors import ConfigError

_LOG = logging.getLogger(__name__)

Kernels = Literal["auto", "native", "zentorch", "onednn", "plain"]
Product = Literal["float32", "bfloat16", "int8"]

# int8 rounds a product to about 0.6 % of its size; a wrong one is off by more than its size.
_TOLERANCE = 0.05
# One text, and a little more than a batch of tiles.
_CHECKED_TOKENS = (3, 70)
_DTYPES: dict[Product, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "int8": torch.int8,
}


def available_kernels(precision: Product) -> tuple[Kernels, ...]:
    """The kernels that can run a precision on this machine's CPU, the preferred first.

    "native" is our own compiled part, "zentorch" AMD's library, "onednn" torch's own one for x86, and "plain"
    is torch without any of them. zentorch and oneDNN are told apart from "plain" for int8 alone.
    """
    found: list[Kernels] = []
    if native.supports(_DTYPES[precision]):
        found.append("native")
    if precision == "int8":
        if has_zentorch():
            found.append("zentorch")
        if has_onednn():
            found.append("onednn")
    found.append("plain")
    # oneDNN, which in bfloat16 is torch's own product, uses the tile instructions of AMX; ours do not.
    if "native" in found and precision != "float32" and torch.cpu._is_amx_tile_supported():
        found.remove("native")
        found.insert(-1 if precision == "int8" else 1, "native")
    return tuple(found)


def choose_kernels(kernels: Kernels, precision: Product, device: torch.device) -> Kernels:
    """Turn "auto" into the preferred kernels of this machine.

    Raises:
        ConfigError: If the kernels are unknown, or cannot run that precision here.
    """
    if kernels not in get_args(Kernels):
        raise ConfigError(f"kernels is {kernels!r}, but must be one of {', '.join(get_args(Kernels))}.")
    if device.type != "cpu":
        if kernels not in ("auto", "plain"):
            raise ConfigError(
                f"kernels is {kernels!r}, which runs on a CPU; on {device.type} use 'auto', or device='cpu'."
            )
        return "plain"
    available = available_kernels(precision)
    if kernels == "auto":
        return available[0]
    if kernels not in available:
        why = f" ({native.missing()})" if kernels == "native" and native.missing() else ""
        others = [other for other in get_args(Product) if kernels in available_kernels(other)]
        instead = f" It can run {' and '.join(others)}: set precision." if others else ""
        raise ConfigError(
            f"kernels is {kernels!r}, which cannot run {precision} here{why}; there are: "
            f"{', '.join(available)}.{instead}"
        )
    return kernels


def kernel_linear(
    linear: nn.Linear, *, precision: Product, kernels: Kernels, activation: Activation | None = None
) -> nn.Module | None:
    """A layer of float32 as one that answers in a precision, by its kernels.

    Args:
        linear: Its weights are read; for int8 they may be that already, as put_quantized gave them.
        precision: Of the product.
        kernels: Chosen ones, not "auto". Where they do not take the layer's sizes, or give wrong sums for
            them, it is "plain".
        activation: Applied to the sum.

    Returns:
        The layer; None where torch's own, converted, is meant: it has no activation.
    """
    N, K = linear.weight.shape
    if kernels != "plain" and not (_takes(kernels, linear) and _is_right(kernels, precision, N, K)):
        kernels = "plain"
    if kernels == "plain" and precision != "int8":
        return None
    return _build(kernels, precision, weight_of(linear), linear.bias.detach(), activation)


def _takes(kernels: Kernels, linear: nn.Linear) -> bool:
    return kernels != "native" or native.fits(linear)


def _build(
    kernels: Kernels,
    precision: Product,
    weight: Tensor | QuantizedWeight,
    bias_N: Tensor,
    activation: Activation | None,
) -> nn.Module:
    if precision == "int8":
        if kernels != "native":
            return _INT8_LAYERS[kernels](weight, bias_N, activation)
        steps_NK, scale_N = as_quantized(weight)
        return native.NativeLinear(steps_NK, bias_N, scale_N=scale_N, activation=activation)
    return native.NativeLinear(cast(Tensor, weight).to(_DTYPES[precision]), bias_N, activation=activation)


_INT8_LAYERS: dict[Kernels, Callable[[Tensor | QuantizedWeight, Tensor, Activation | None], nn.Module]] = {
    "zentorch": ZentorchInt8Linear,
    "onednn": OneDnnInt8Linear,
    "plain": PlainInt8Linear,
}


@cache
def _is_right(kernels: Kernels, precision: Product, N: int, K: int) -> bool:
    """Whether products of these sizes come out right: libraries have been seen to be silently wrong."""
    generator = torch.Generator().manual_seed(0)
    weight_NK = torch.randn(N, K, generator=generator)
    with torch.inference_mode():
        layer = _build(kernels, precision, weight_NK, torch.zeros(N), None)
        for num_tokens in _CHECKED_TOKENS:
            x_TK = torch.randn(num_tokens, K, generator=generator)
            found_TN = layer(x_TK if precision == "float32" else x_TK.bfloat16()).float()
            expected_TN = x_TK @ weight_NK.T
            if not torch.dist(found_TN, expected_TN) <= _TOLERANCE * expected_TN.norm():
                _LOG.warning(
                    "The %s kernels give wrong %s products of %d by %d here; torch's own are used.",
                    kernels,
                    precision,
                    N,
                    K,
                )
                return False
    return True
