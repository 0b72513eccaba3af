"""What a GPU could do, and how much of it an encoder's work is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Dense bfloat16 TFLOP/s of the makers' data sheets, without sparsity; the first part of a name that fits.
_DATA_SHEETS = (
    ("B200", 2250.0),
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.0),
    ("H100", 989.0),
    ("A100", 312.0),
    ("L40S", 362.0),
    ("L40", 181.0),
    ("L4", 121.0),
    ("A10G", 70.0),
    ("A10", 125.0),
)
_RUNS = 7
_CALLS = 10


def data_sheet_tflops(name: str) -> float | None:
    """The data sheet's figure for a GPU that torch calls by this name; None where it is not known."""
    return next((tflops for part, tflops in _DATA_SHEETS if part in name), None)


def device_facts(device: str, quick: bool) -> dict[str, Any]:
    """Name, memory and speed of the device; to be called in a process of its own."""
    import torch

    is_cuda = device == "cuda"
    name = torch.cuda.get_device_name() if is_cuda else "a CPU"
    return {
        "name": name,
        "memory_gb": round(torch.cuda.get_device_properties(0).total_memory / 1e9, 1) if is_cuda else None,
        "cuda": torch.version.cuda if is_cuda else None,
        "measured_tflops": round(_measured_tflops(device, 512 if quick else 8192), 3),
        "data_sheet_tflops": data_sheet_tflops(name) if is_cuda else None,
    }


def _measured_tflops(device: str, size: int) -> float:
    """Of a large square product in bfloat16: the median of several runs of several products."""
    import torch

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(_RUNS):
        wait()
        start = time.perf_counter()
        for _ in range(_CALLS):
            a @ b
        wait()
        seconds.append(time.perf_counter() - start)
    # The first run prepares the kernel.
    return _CALLS * 2.0 * size**3 / statistics.median(seconds[1:]) / 1e12


def encoder_flops(folder: Path, lengths: Iterable[int], *, first_only: bool) -> float:
    """Operations of the matrix products, attention's included, for texts of so many true tokens.

    Args:
        folder: Has the encoder's config.json.
        lengths: Tokens of each text.
        first_only: Whether the last layer computes keys and values for all tokens, and all else for the first
            ones alone, as bertblocks does.
    """
    import json

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    D, F, num_layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]

    def layer(tokens: int, queries: int) -> float:
        products = 2.0 * (2 * D * D * tokens + (2 * D * D + 2 * D * F) * queries)
        return products + 4.0 * D * tokens * queries

    return sum(
        (num_layers - 1) * layer(length, length) + layer(length, 1 if first_only else length)
        for length in lengths
    )
