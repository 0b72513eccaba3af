"""Which precision the encoder's matrix products run in."""

from __future__ import annotations

import time
from functools import cache
from typing import Literal, TypeVar, get_args

import torch
from torch import nn

from bertblocks.errors import ConfigError

Precision = Literal["auto", "float32", "bfloat16"]

# bfloat16 is chosen when it is faster by this factor. Processors with the instructions gain 1.6 to 2.2,
# the others lose: a margin between the two makes noise harmless.
_WORTH_IT = 1.25

Module = TypeVar("Module", bound=nn.Module)


def choose_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Turn "auto" into the precision that is fastest on this machine, by measurement.

    Raises:
        ConfigError: If the precision is unknown.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision is {precision!r}, but must be one of {', '.join(get_args(Precision))}.")
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device.type != "cpu":
        return "float32"
    return "bfloat16" if _bfloat16_gain() > _WORTH_IT else "float32"


def resolve_device(device: str) -> torch.device:
    """The torch device that a setting names; "auto" takes CUDA where there is one.

    Raises:
        ConfigError: If torch does not know the device, or CUDA is asked for and not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device is {device!r}, but must be 'auto', 'cpu' or 'cuda' ({error}).") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device is {device!r}, but torch finds no CUDA GPU here; use 'cpu' or 'auto'.")
    return resolved


def to_precision(encoder: Module, precision: Literal["float32", "bfloat16"]) -> Module:
    """Convert an encoder in place and return it."""
    return encoder.to(torch.bfloat16 if precision == "bfloat16" else torch.float32)


@cache
def _bfloat16_gain() -> float:
    """How many times faster than float32 a bfloat16 product of a layer's size is here; under 50 ms."""
    seconds = {dtype: _product_seconds(dtype) for dtype in (torch.float32, torch.bfloat16)}
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _product_seconds(dtype: torch.dtype) -> float:
    x = torch.ones(256, 768, dtype=dtype)
    weight = torch.ones(1536, 768, dtype=dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(4):
            start = time.perf_counter()
            nn.functional.linear(x, weight)
            best = min(best, time.perf_counter() - start)
    return best
