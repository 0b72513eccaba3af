"""Token vectors → one vector a sequence, over true tokens only.

Axes: T packed tokens, B sequences, D hidden size, L tokens of one sequence, n sequences of one run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from bertblocks.encoder.packing import PackedTokens
from bertblocks.errors import ConfigError, ShapeError

Pooling = Literal["cls", "average", "max"]
WindowPooling = Literal["average", "max"]


def pool(x_TD: Tensor, packed: PackedTokens, pooling: Pooling) -> Tensor:
    """Reduce each sequence to one vector.

    Args:
        x_TD: Packed hidden states.
        packed: The sequences that they belong to.
        pooling: "cls" takes the first token, "average" the mean of all tokens (special tokens included, as
            sentence-transformers does), "max" the largest value in each dimension.

    Returns:
        One vector a sequence in float32, shape (B, D).

    Raises:
        ShapeError: If x_TD has another number of tokens than packed.
        ConfigError: If the pooling is unknown.
    """
    if pooling not in get_args(Pooling):
        raise ConfigError(f"pooling is {pooling!r}, but must be one of {', '.join(get_args(Pooling))}.")
    if len(x_TD) != packed.num_tokens:
        raise ShapeError(f"{len(x_TD)} token vectors do not belong to {packed.num_tokens} packed tokens.")
    if pooling == "cls":
        return x_TD[packed.first_token_indices].float()
    pooled = []
    for run in packed.equal_length_runs():
        x_nLD = x_TD[run.start : run.stop].view(run.num_sequences, run.length, -1).float()
        pooled.append(x_nLD.mean(1) if pooling == "average" else x_nLD.amax(1))
    return torch.cat(pooled)


def combine_windows(vectors_BD: Tensor, windows: Sequence[int], pooling: WindowPooling) -> Tensor:
    """Make one vector a text from those of its windows.

    Args:
        vectors_BD: One pooled vector a window, float32.
        windows: How many windows, one after another, each text has.
        pooling: "average", or "max" in each dimension.

    Returns:
        One vector a text, float32, shape (texts, D).
    """
    texts: list[Tensor] = []
    start = 0
    for num_windows in windows:
        own_nD = vectors_BD[start : start + num_windows]
        texts.append(own_nD.mean(0) if pooling == "average" else own_nD.amax(0))
        start += num_windows
    return torch.stack(texts)
