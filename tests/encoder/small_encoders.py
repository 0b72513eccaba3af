"""Small encoders of random weights, and every way in which this machine can run one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
import torch
from parity import random_ids
from torch import Tensor, nn

from bertblocks.encoder import (
    BertEncoder,
    EncoderConfig,
    Kernels,
    PackedTokens,
    Product,
    available_kernels,
    to_precision,
)

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
}
LENGTHS = [7, 3, 3, 12, 64, 1, 200, 12, 12, 33]
WAYS: list[tuple[Product, Kernels]] = [
    (precision, kernels) for precision in get_args(Product) for kernels in available_kernels(precision)
]
"""Each precision with each of its kernels that is here."""
every_way = pytest.mark.parametrize("way", WAYS, ids="-".join)

TORCH_ALONE = {("float32", "plain"): 2e-6, ("bfloat16", "plain"): 0.05}
"""Where the order of sums depends on the number of rows and threads, and how much that may change."""


def small_encoder(seed: int = 0, **sizes: object) -> BertEncoder:
    """An encoder in float32 whose weights are large enough that texts differ."""
    encoder = BertEncoder(EncoderConfig(**{**SIZES, **sizes})).eval()
    generator = torch.Generator().manual_seed(seed)
    for weight in encoder.parameters():
        nn.init.normal_(weight, std=0.2, generator=generator)
    return encoder


def prepared(way: tuple[Product, Kernels], seed: int = 0, **sizes: object) -> BertEncoder:
    return to_precision(small_encoder(seed, **sizes), *way)


def packed_texts(lengths: Sequence[int] = LENGTHS) -> PackedTokens:
    return PackedTokens.pack(random_ids(VOCABULARY, list(lengths)))


@torch.inference_mode()
def states(encoder: BertEncoder, lengths: Sequence[int] = LENGTHS) -> Tensor:
    """Hidden states of every token of some texts."""
    return encoder(packed_texts(lengths), "sequence")


def is_same(way: tuple[Product, Kernels], found: Tensor, expected: Tensor) -> bool:
    """Whether states are equal to the bit; where torch alone sums, nearly."""
    if way in TORCH_ALONE:
        return torch.allclose(found, expected, atol=TORCH_ALONE[way], rtol=0)
    return torch.equal(found, expected)


def run_script(code: str, *arguments: object, timeout: float = 60) -> str:
    """What a fresh Python prints that can import this module.

    Raises:
        subprocess.TimeoutExpired: If it hangs.
    """
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
