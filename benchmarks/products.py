"""How much of an encoder's time its matrix products need, when they run alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bertblocks.assembly import lanes, lanes_of


@dataclass(frozen=True, kw_only=True)
class ProductCall:
    """One run of a dense layer.

    Attributes:
        layer: Called with x alone.
        x: Of the shape and type that the layer was given.
        flops: Two for each weight and row.
    """

    layer: nn.Module
    x: Tensor
    flops: float


def is_product(module: nn.Module) -> bool:
    """Whether a module is a dense layer, in whichever kernels."""
    return isinstance(module, nn.Linear) or type(module).__name__.endswith("Linear")


def record_products(encoder: nn.Module, run: Callable[[], object]) -> list[ProductCall]:
    """Run once and note every dense layer's call, in order.

    A call includes what its kernel does besides: quantizing the input, the activation.
    """
    calls: list[ProductCall] = []
    inputs: dict[tuple[Any, ...], Tensor] = {}

    def note(layer: nn.Module, arguments: tuple[Any, ...], y: Tensor) -> None:
        x = arguments[0]
        key = (*x.shape, x.dtype)
        if key not in inputs:
            inputs[key] = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.dtype)
        calls.append(ProductCall(layer=layer, x=inputs[key], flops=2.0 * x.numel() * y.shape[-1]))

    handles = [module.register_forward_hook(note) for module in encoder.modules() if is_product(module)]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def replay(calls: list[ProductCall]) -> float:
    """Seconds of the same calls, as many at a time as batches in the encoder.

    They come in the encoder's order, so that weights come from memory as they do there.
    """
    num_lanes = lanes_of(torch.device("cpu"))

    @torch.inference_mode()
    def run(some: list[ProductCall]) -> None:
        for call in some:
            call.layer(call.x)

    start = time.perf_counter()
    with lanes(run, [calls[lane::num_lanes] for lane in range(num_lanes)], num_lanes) as results:
        for _ in results:
            pass
    return time.perf_counter() - start
