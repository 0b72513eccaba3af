"""Many sequences end to end, without padding: what every stage of the encoder exchanges.

Axes: T packed tokens, B sequences, D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertblocks.errors import DataError, ShapeError


class EqualLengthRun(NamedTuple):
    """Neighbouring sequences of one length: a dense block inside a packed tensor."""

    start: int
    stop: int
    num_sequences: int
    length: int


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedTokens:
    """B token sequences laid end to end.

    Attributes:
        input_ids_T: Token ids, int64.
        segment_ids_T: 0 for the first text of a pair, 1 for the second, int64.
        position_ids_T: Position of each token in its own sequence, from 0, int64.
        cu_seqlens: Offsets of the sequences, int32, shape (B + 1,); the last one is T.
        lengths: The B lengths as Python integers, so that no loop has to ask a GPU for them.
        id_range: The lowest and the highest id, so that nothing has to ask a GPU for them; None where they
            are not known.
        windows: Where several sequences are windows of one text: how many each text has, in order; None where
            every sequence is a text of its own.
        word_vectors_TD: What enters in place of the ids' rows of the word embedding, for who asks how an
            answer depends on them; None for these rows.
    """

    input_ids_T: Tensor
    segment_ids_T: Tensor
    position_ids_T: Tensor
    cu_seqlens: Tensor
    lengths: tuple[int, ...]
    id_range: tuple[int, int] | None = None
    windows: tuple[int, ...] | None = None
    word_vectors_TD: Tensor | None = None

    @classmethod
    def pack(
        cls,
        sequences: Sequence[NDArray[Any]],
        num_first: Sequence[int] | NDArray[Any] | None = None,
        *,
        windows: Sequence[int] | None = None,
    ) -> PackedTokens:
        """Lay sequences end to end.

        Args:
            sequences: One array of token ids a sequence, none of them empty.
            num_first: How many leading tokens of each sequence are of segment 0; all where None.
            windows: How many sequences, one after another, are windows of each text; one each where None.

        Raises:
            ShapeError: If there is no sequence, one is empty or not one-dimensional, or num_first or windows
                do not belong to so many sequences.
            DataError: If ids are not whole numbers.
        """
        lengths = tuple(len(sequence) for sequence in sequences)
        if not lengths or min(lengths) == 0:
            raise ShapeError(f"Packing needs sequences of at least one token; found lengths {lengths[:10]}.")
        ids = [_whole_numbers(index, sequence) for index, sequence in enumerate(sequences)]
        if num_first is not None and len(num_first) != len(lengths):
            raise ShapeError(f"{len(lengths)} sequences came with {len(num_first)} values of num_first.")
        if windows is not None and (sum(windows) != len(lengths) or min(windows) < 1):
            raise ShapeError(f"{len(lengths)} sequences cannot be {sum(windows)} windows, at least 1 a text.")
        ids_T = np.concatenate(ids, dtype=np.int64, casting="unsafe")
        starts = np.cumsum((0, *lengths), dtype=np.int64)
        positions = np.arange(len(ids_T), dtype=np.int64) - np.repeat(starts[:-1], lengths)
        if num_first is None:
            segments = np.zeros(len(positions), dtype=np.int64)
        else:
            segments = (positions >= np.repeat(num_first, lengths)).astype(np.int64)
        return cls(
            input_ids_T=torch.from_numpy(ids_T),
            segment_ids_T=torch.from_numpy(segments),
            position_ids_T=torch.from_numpy(positions),
            cu_seqlens=torch.from_numpy(starts.astype(np.int32)),
            lengths=lengths,
            id_range=(int(ids_T.min()), int(ids_T.max())),
            windows=None if windows is None else tuple(windows),
        )

    @property
    def num_tokens(self) -> int:
        """T: tokens of all sequences together."""
        return len(self.input_ids_T)

    @property
    def num_sequences(self) -> int:
        """B: sequences."""
        return len(self.lengths)

    @property
    def first_token_indices(self) -> Tensor:
        """Where each sequence begins, int32, shape (B,)."""
        return self.cu_seqlens[:-1]

    def equal_length_runs(self) -> Iterator[EqualLengthRun]:
        """Neighbours of one length, in order; sorted sequences give one run for each length there is."""
        start = 0
        for length, group in groupby(self.lengths):
            num_sequences = sum(1 for _ in group)
            stop = start + num_sequences * length
            yield EqualLengthRun(start, stop, num_sequences, length)
            start = stop

    def groups(self, max_tokens: int) -> Iterator[PackedTokens]:
        """The sequences in groups of at most so many tokens, or of one sequence, as texts of their own."""
        first = start = 0
        while first < self.num_sequences:
            last, stop = first + 1, start + self.lengths[first]
            while last < self.num_sequences and stop + self.lengths[last] <= start + max_tokens:
                stop += self.lengths[last]
                last += 1
            yield PackedTokens(
                input_ids_T=self.input_ids_T[start:stop],
                segment_ids_T=self.segment_ids_T[start:stop],
                position_ids_T=self.position_ids_T[start:stop],
                cu_seqlens=self.cu_seqlens[first : last + 1] - self.cu_seqlens[first],
                lengths=self.lengths[first:last],
                id_range=self.id_range,
                word_vectors_TD=None if self.word_vectors_TD is None else self.word_vectors_TD[start:stop],
            )
            first, start = last, stop

    def to(self, device: torch.device | str) -> PackedTokens:
        """The same sequences on another device."""
        device = torch.device(device)
        return replace(
            self,
            input_ids_T=_moved(self.input_ids_T, device),
            segment_ids_T=_moved(self.segment_ids_T, device),
            position_ids_T=_moved(self.position_ids_T, device),
            cu_seqlens=_moved(self.cu_seqlens, device),
            word_vectors_TD=None if self.word_vectors_TD is None else self.word_vectors_TD.to(device),
        )


def _moved(x: Tensor, device: torch.device) -> Tensor:
    """A tensor on another device; the way to a GPU is left under way.

    From pinned memory the copy waits for nothing, and torch keeps that memory until the copy is done. The way
    back is waited for: what comes back would be read before it is there.
    """
    if device.type != "cuda":
        return x.to(device)
    return (x.pin_memory() if x.is_cpu else x).to(device, non_blocking=True)


def _whole_numbers(index: int, sequence: NDArray[Any]) -> NDArray[Any]:
    """One sequence's ids; a float's fraction would otherwise be cut off in silence."""
    ids = np.asarray(sequence)
    if ids.ndim != 1:
        raise ShapeError(f"Sequence {index} has the shape {ids.shape}; give one list of ids a sequence.")
    if ids.dtype.kind not in "iu":
        raise DataError(
            f"Sequence {index} holds {ids.dtype} values, but token ids are whole numbers: convert them with "
            ".astype(int) if they are whole."
        )
    return ids
