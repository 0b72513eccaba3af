"""Which precision the encoder's matrix products run in."""

from __future__ import annotations

import re
import statistics
import time
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from bertblocks.encoder import native
from bertblocks.encoder.linear.kernels import Product
from bertblocks.errors import ConfigError

Precision = Literal["auto", "float32", "bfloat16", "int8"]
TrainingPrecision = Literal["auto", "float32", "bfloat16"]

# bfloat16 is chosen when it is faster by this factor. Processors with the instructions gain 1.6 to 2.2,
# the others lose: a margin between the two makes noise harmless.
_WORTH_IT = 1.25
_PAIRS = 7


def choose_precision(precision: Precision, device: torch.device) -> Product:
    """Turn "auto" into the fastest precision of this machine that answers as float32 does.

    That is float32 or bfloat16. int8 is faster still, and is chosen by name: it costs some accuracy, of which
    docs/precision.md has the figures.

    Raises:
        ConfigError: If the precision is unknown, or int8 is asked for on a GPU.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision is {precision!r}, but must be one of {', '.join(get_args(Precision))}.")
    if precision == "int8" and device.type != "cpu":
        raise ConfigError(
            f"precision is 'int8', which runs on a CPU; on {device.type} use 'bfloat16', or device='cpu'."
        )
    if precision != "auto":
        return precision
    if device.type == "cpu" and native.supports(torch.bfloat16):
        return "bfloat16"
    return choose_training_precision("auto", device)


def choose_training_precision(
    precision: TrainingPrecision, device: torch.device
) -> Literal["float32", "bfloat16"]:
    """Turn "auto" into the precision that trains fastest on this machine, by measurement.

    Raises:
        ConfigError: If the precision is unknown, or int8, which is for answering alone.
    """
    if precision not in get_args(TrainingPrecision):
        known = ", ".join(get_args(TrainingPrecision))
        raise ConfigError(f"precision is {precision!r}, but must be one of {known} for training.")
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
        ConfigError: If it is none of "auto", "cpu", "cuda" and "cuda:N", or there is no such GPU here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        return torch.device("cpu")
    named = re.fullmatch(r"cuda(?::([0-9]{1,3}))?", device)
    if named is None:
        raise ConfigError(
            f"device is {device!r}, but must be 'auto', 'cpu', 'cuda', or 'cuda:1' for the second GPU."
        )
    if not torch.cuda.is_available():
        raise ConfigError(f"device is {device!r}, but torch finds no CUDA GPU here; use 'cpu' or 'auto'.")
    if named[1] is None:
        return torch.device("cuda")
    index, count = int(named[1]), torch.cuda.device_count()
    if index >= count:
        raise ConfigError(
            f"device is {device!r}, but the number of CUDA GPUs here is {count}, counted from 'cuda:0'."
        )
    return torch.device("cuda", index)


@cache
def _bfloat16_gain() -> float:
    """How many times faster than float32 a bfloat16 product of a layer's size is here; some 50 ms.

    The two take turns, so that other work on the machine slows both, and the median of the ratios leaves out
    the turns in which it slowed but one.
    """
    exact, rough = _factors(torch.float32), _factors(torch.bfloat16)
    with torch.inference_mode():
        # The first products of a kind prepare their kernels.
        for factors in (exact, rough):
            _product_seconds(*factors)
        return statistics.median(_product_seconds(*exact) / _product_seconds(*rough) for _ in range(_PAIRS))


def _factors(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.ones(128, 768, dtype=dtype), torch.ones(1536, 768, dtype=dtype)


def _product_seconds(x: Tensor, weight: Tensor) -> float:
    start = time.perf_counter()
    nn.functional.linear(x, weight)
    return time.perf_counter() - start
