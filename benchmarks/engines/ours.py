"""bertblocks, with each of its kernels."""

from __future__ import annotations

import numpy as np
import torch

import bertblocks
from bertblocks.encoder import available_kernels
from bertblocks.text import Encoded
from engines.interface import Ids, Job, Setting, Vectors


class Ours:
    """A TextEncoder, as its users call it.

    Args:
        job: The encoder and the threads.
        precision: "float32", "bfloat16" or "int8".
        kernels: "auto", or one of its kernels.
    """

    variants = ("",)

    def __init__(self, job: Job, *, precision: str, kernels: str) -> None:
        torch.set_num_threads(job.threads)
        self._encoder = bertblocks.load_encoder(
            job.folder, precision=precision, device="cpu", kernels=kernels
        )

    @property
    def module(self) -> torch.nn.Module:
        """The encoder's network."""
        return self._encoder._encoder

    def shapes(self, quick: bool) -> list[Setting]:
        """It plans its batches itself."""
        return [Setting()]

    def use(self, setting: Setting) -> None:
        """There is nothing to choose."""

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors, in the order of ids."""
        return self._encoder.vectors(encoded_ids(ids), "cls")

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
        return self._encoder.encode(texts, output="cls")


def encoded_ids(ids: Ids) -> Encoded:
    """Token ids in the form that a tokenizer returns."""
    lengths = np.array([len(row) for row in ids], dtype=np.int32)
    nothing = np.zeros(len(ids), dtype=np.int32)
    return Encoded(
        ids=[np.asarray(row, dtype=np.int32) for row in ids],
        num_first=lengths,
        num_tokens=lengths,
        truncated=nothing.astype(bool),
        num_unknown=nothing,
    )


def kernels_here() -> dict[str, list[str]]:
    """The kernels that can run each precision on this machine, the preferred first."""
    return {precision: list(available_kernels(precision)) for precision in ("float32", "bfloat16", "int8")}
