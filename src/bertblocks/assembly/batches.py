"""Tokenized texts → packed batches → one result a text, in the order of the texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertblocks.batching import plan_sorted
from bertblocks.encoder import PackedTokens
from bertblocks.text import Encoded

# Near the optimum on two cores: larger batches leave the cache, smaller ones the kernels' stride.
DEFAULT_BATCH_TOKENS = 1024


def pack(encoded: Encoded, indices: NDArray[Any]) -> PackedTokens:
    """Pack the chosen texts, in the order of indices."""
    if encoded.windows is not None:
        lengths = [encoded.windows[index] for index in indices]
        sequences = [
            window
            for index, row in zip(indices, lengths, strict=True)
            for window in np.split(encoded.ids[index], np.cumsum(row)[:-1])
        ]
        return PackedTokens.pack(sequences, windows=[len(row) for row in lengths])
    return PackedTokens.pack([encoded.ids[index] for index in indices], encoded.num_first[indices])


def run_packed(
    forward: Callable[[PackedTokens], Tensor],
    encoded: Encoded,
    *,
    batch_tokens: int = DEFAULT_BATCH_TOKENS,
    device: torch.device | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Run a function over all texts in batches of neighbours in length.

    Args:
        forward: Packed tokens → one row a sequence, shape (B, C).
        encoded: Tokenized texts.
        batch_tokens: Most tokens of a batch.
        device: Where forward expects its tokens; the CPU where None.
        on_batch: Called after each batch with its numbers of texts and tokens.

    Returns:
        The rows in the order of the texts, float32, shape (number of texts, C).
    """
    lengths = [len(ids) for ids in encoded.ids]
    rows: NDArray[np.float32] | None = None
    with torch.inference_mode():
        for batch in plan_sorted(lengths, batch_tokens):
            packed = pack(encoded, batch)
            result = forward(packed.to(device) if device else packed).float().cpu().numpy()
            if rows is None:
                rows = np.empty((len(lengths), result.shape[1]), dtype=np.float32)
            rows[batch] = result
            if on_batch is not None:
                on_batch(len(batch), packed.num_tokens)
    return np.empty((0, 0), dtype=np.float32) if rows is None else rows
