"""Ids that the word embedding has no row for, told before it is asked for them.

Axes: T packed tokens, B sequences.
"""

from __future__ import annotations

import torch

from bertblocks.encoder.packing import PackedTokens
from bertblocks.errors import DataError


def check_ids(packed: PackedTokens, vocabulary_size: int) -> None:
    """Refuse ids outside 0 to vocabulary_size - 1.

    Args:
        packed: Its id_range answers without waiting for a GPU; where it has none, the ids are asked.
        vocabulary_size: Rows of the word embedding.

    Raises:
        DataError: Names the first such id with its sequence and position, both counted from 0.
    """
    lowest, highest = packed.id_range or (int(id) for id in torch.aminmax(packed.input_ids_T))
    if lowest >= 0 and highest < vocabulary_size:
        return
    packed = packed.to("cpu")
    outside_T = (packed.input_ids_T < 0) | (packed.input_ids_T >= vocabulary_size)
    if not outside_T.any():  # A group of sequences has the range of the whole.
        return
    index = int(outside_T.nonzero()[0])
    sequence = int(torch.searchsorted(packed.cu_seqlens, index, right=True)) - 1
    others = int(outside_T.sum()) - 1
    raise DataError(
        f"Sequence {sequence} of the batch has the id {int(packed.input_ids_T[index])} at position "
        f"{int(packed.position_ids_T[index])} (both counted from 0), outside the range 0 to "
        f"{vocabulary_size - 1} of a vocabulary of {vocabulary_size}"
        + (f", and {others} more ids are outside" if others else "")
        + ". Mend the ids, or build the encoder with vocabulary_size = the largest id + 1."
    )
