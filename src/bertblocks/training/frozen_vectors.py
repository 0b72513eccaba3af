"""A frozen encoder's vectors of all rows: computed once, and kept for a resumed run."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bertblocks._files import replace_when_done
from bertblocks.assembly import TextModel, run_packed
from bertblocks.encoder import to_precision
from bertblocks.text import Encoded
from bertblocks.training.events import Estimate, Listener, VectorsDone
from bertblocks.training.processes import ALONE, Processes
from bertblocks.training.sources import token_lengths

VECTORS = "vectors.npy"
# Enough to know the rate by: the longest texts come first, so the estimate is rather too high.
_ESTIMATE_BATCHES = 8
_NONE = np.empty((0, 0), dtype=np.float32)


def frozen_vectors(
    module: TextModel,
    encoded: Sequence[Encoded],
    *,
    precision: Literal["float32", "bfloat16"],
    batch_tokens: int,
    device: torch.device,
    path: Path | None,
    resume: bool,
    on_event: Listener,
    processes: Processes = ALONE,
) -> NDArray[np.float32]:
    """Run the encoder over all texts, or read what an earlier try left.

    Args:
        module: On its device.
        encoded: Tokenized texts, in parts.
        precision: Of the encoder's products.
        batch_tokens: Most tokens that go through the encoder at once.
        device: Where the module is.
        path: File of the vectors; None keeps them in memory, as every process does but the first.
        resume: Read the file where it is there.
        on_event: Told how far it is.
        processes: Of the run; each encodes its share of the texts.

    Returns:
        The pooled vectors of all parts, shape (texts, D); of a file that was there, none but in the first
        process.
    """
    is_stored = resume and path is not None and path.exists()
    if processes.told(is_stored):
        stored: NDArray[np.float32] = np.load(path, allow_pickle=False) if path is not None else _NONE
        return stored
    shares = [processes.share(token_lengths(part)) for part in encoded]
    own = (
        encoded if processes.count == 1 else [p.take(share) for p, share in zip(encoded, shares, strict=True)]
    )
    vectors = np.concatenate(
        [
            processes.rows_together(rows, share, len(part))
            for rows, share, part in zip(
                _compute(module, own, precision, batch_tokens, device, on_event), shares, encoded, strict=True
            )
        ]
    )
    if path is not None:
        with replace_when_done(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)
    return vectors


def _compute(
    module: TextModel,
    encoded: Sequence[Encoded],
    precision: Literal["float32", "bfloat16"],
    batch_tokens: int,
    device: torch.device,
    on_event: Listener,
) -> list[NDArray[np.float32]]:
    # A copy in the right precision: autocast would convert the frozen weights again for every batch.
    encoder = module.encoder
    if precision != "float32":
        encoder = to_precision(copy.deepcopy(encoder), precision)
    frozen = TextModel(encoder, module.pooling, nn.Sequential(), module.window_pooling).eval()
    num_tokens = sum(len(ids) for part in encoded for ids in part.ids)
    progress = _Progress(sum(len(part) for part in encoded), num_tokens, on_event)
    return [
        run_packed(frozen, part, batch_tokens=batch_tokens, device=device, on_batch=progress.count)
        for part in encoded
    ]


class _Progress:
    """Tells how many vectors are done and, after the first batches, how long the others will take."""

    def __init__(self, total_texts: int, total_tokens: int, on_event: Listener) -> None:
        self._total_texts, self._total_tokens, self._on_event = total_texts, total_tokens, on_event
        self._texts = self._tokens = self._batches = 0
        self._start = time.perf_counter()

    def count(self, num_texts: int, num_tokens: int) -> None:
        """Count a batch."""
        self._texts += num_texts
        self._tokens += num_tokens
        self._batches += 1
        if self._batches == _ESTIMATE_BATCHES:
            rate = self._tokens / (time.perf_counter() - self._start)
            self._on_event(Estimate(seconds=(self._total_tokens - self._tokens) / rate, tokens_per_s=rate))
        self._on_event(VectorsDone(done=self._texts, total=self._total_texts))
