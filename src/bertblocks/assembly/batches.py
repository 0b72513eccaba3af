"""Tokenized texts → packed batches → one result a text, in the order of the texts.

Axes: B texts of a batch, C values of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertblocks.assembly.lanes import lanes
from bertblocks.batching import plan_lanes
from bertblocks.encoder import PackedTokens
from bertblocks.text import Encoded

Item = TypeVar("Item")

# Near the optimum on two cores: larger batches leave the cache, smaller ones the kernels' stride.
DEFAULT_BATCH_TOKENS = 1024
# A GPU computes 1,024 tokens in less time than launching their kernels takes. Chosen by reckoning, not
# measured yet: benchmarks/gpu.py tries several.
_GPU_BATCH_TOKENS = 16_384


def default_batch_tokens(device: torch.device) -> int:
    """Most tokens of a batch where nobody says otherwise."""
    return _GPU_BATCH_TOKENS if device.type == "cuda" else DEFAULT_BATCH_TOKENS


class Distinct(NamedTuple):
    """The rows that differ from each other.

    Attributes:
        first: Where each of them stands first, ascending.
        inverse: For every row, which of them it is.
    """

    first: NDArray[np.int64]
    inverse: NDArray[np.int64]


def distinct_rows(encoded: Encoded) -> Distinct:
    """Tell apart rows that the encoder could tell apart: by ids, segments and windows."""
    number_of: dict[Any, int] = {}
    first: list[int] = []
    inverse = np.empty(len(encoded), dtype=np.int64)
    windows = encoded.windows or [None] * len(encoded)
    keys = zip((ids.tobytes() for ids in encoded.ids), encoded.num_first.tolist(), windows, strict=True)
    for row, key in enumerate(keys):
        number = number_of.setdefault(key, len(first))
        if number == len(first):
            first.append(row)
        inverse[row] = number
    return Distinct(np.array(first, dtype=np.int64), inverse)


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
    batch_tokens: int | None = None,
    device: torch.device | None = None,
    deduplicate: bool = False,
    num_lanes: int = 1,
    on_batch: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Run a function over all texts in batches of neighbours in length.

    Args:
        forward: Packed tokens → one row a sequence, shape (B, C).
        encoded: Tokenized texts.
        batch_tokens: Most tokens of a batch; None is what suits the device.
        device: Where forward expects its tokens; the CPU where None.
        deduplicate: Whether texts of equal ids are computed once, and have the same row.
        num_lanes: Batches that are computed at the same time, each by one thread. On a CPU that is faster
            than all threads on one batch, which wait for each other at every step.
        on_batch: Called after each batch with its numbers of texts and tokens, as they are computed; on a GPU
            when its rows have come back.

    Returns:
        The rows in the order of the texts, float32, shape (number of texts, C).
    """
    distinct = distinct_rows(encoded) if deduplicate else None
    chosen = np.arange(len(encoded)) if distinct is None else distinct.first
    lengths = np.array([len(encoded.ids[index]) for index in chosen], dtype=np.int64)
    target = device or torch.device("cpu")
    rows: NDArray[np.float32] | None = None

    @torch.inference_mode()
    def compute(batch: NDArray[np.int64]) -> _Result:
        packed = pack(encoded, chosen[batch])
        return _Result.of(forward(packed.to(target)).float())

    budget = default_batch_tokens(target) if batch_tokens is None else batch_tokens
    batches = plan_lanes(lengths, budget, num_lanes)
    with lanes(compute, batches, num_lanes) as results:
        computed: Iterable[tuple[NDArray[np.int64], _Result]] = zip(batches, results, strict=True)
        # A GPU is given its next batch before anybody waits for the one under way.
        for batch, found in _one_behind(computed) if target.type == "cuda" else computed:
            result = found.rows()
            if rows is None:
                rows = np.empty((len(chosen), result.shape[1]), dtype=np.float32)
            rows[batch] = result
            if on_batch is not None:
                on_batch(len(batch), int(lengths[batch].sum()))
    if rows is None:
        return np.empty((0, 0), dtype=np.float32)
    return rows if distinct is None or len(chosen) == len(encoded) else rows[distinct.inverse]


class _Result(NamedTuple):
    """A batch's rows: here, or on their way from a GPU.

    Attributes:
        rows_BC: In the CPU's memory, not to be read before they have come.
        come: Tells when they have; None where they are here.
    """

    rows_BC: Tensor
    come: torch.cuda.Event | None

    @classmethod
    def of(cls, rows_BC: Tensor) -> _Result:
        """Send rows on their way, without waiting for them to be computed."""
        if not rows_BC.is_cuda:
            return cls(rows_BC.cpu(), None)
        # torch gives pinned memory for this; the event stands right behind the copy.
        here_BC = rows_BC.to("cpu", non_blocking=True)
        come = torch.cuda.Event()  # type: ignore[no-untyped-call]
        come.record(torch.cuda.current_stream(rows_BC.device))
        return cls(here_BC, come)

    def rows(self) -> NDArray[np.float32]:
        """The rows, once they are here."""
        if self.come is not None:
            self.come.synchronize()
        rows: NDArray[np.float32] = self.rows_BC.numpy()
        return rows


def _one_behind(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each handed over when the next one has been made."""
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if len(waiting) == 2:
            yield waiting.pop(0)
    yield from waiting
