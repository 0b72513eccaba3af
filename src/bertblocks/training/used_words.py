"""Training with the rows of the word embedding that a run's texts use.

A multilingual encoder has half of its weights there, and a table of a few thousand texts uses a few per cent
of them. All that AdamW does to the others is weight decay: they never have a gradient, so their averages stay
0. It is made up for at the end, by one factor. Gradients, averages, checkpoints and the best epoch's weights
are smaller by as much.

Axes: U used words, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from bertblocks.encoder import BertEncoder
from bertblocks.text import Encoded

# Where most rows are used there is nothing to gain, and the copy would cost memory.
_LARGEST_SHARE = 0.5


class UsedWords:
    """Gives an encoder a word embedding of the used rows, and takes it back.

    Args:
        encoder: On its device. Its word embedding is replaced, if it is trained and few enough of its rows
            are used.
        encoded: All texts of the run.
    """

    def __init__(self, encoder: BertEncoder, encoded: Sequence[Encoded]) -> None:
        self._encoder = encoder
        self._whole = encoder.embeddings.word
        self._ids = np.unique(np.concatenate([ids for part in encoded for ids in part.ids]))
        is_trained = self._whole.weight.requires_grad
        self._is_replaced = is_trained and len(self._ids) <= _LARGEST_SHARE * self._whole.num_embeddings
        if self._is_replaced:
            rows_UD = self._whole.weight.detach()[self._index()]
            encoder.embeddings.word = nn.Embedding(len(rows_UD), rows_UD.shape[1], _weight=rows_UD)

    def numbered(self, encoded: Encoded) -> Encoded:
        """The texts with the ids of the rows as they are now."""
        if not self._is_replaced:
            return encoded
        new_ids = np.zeros(self._whole.num_embeddings, dtype=np.int32)
        new_ids[self._ids] = np.arange(len(self._ids), dtype=np.int32)
        return replace(encoded, ids=[new_ids[ids] for ids in encoded.ids])

    @torch.no_grad()
    def put_back(self, decay: float) -> None:
        """Give the encoder its whole word embedding again, with what the used rows have learned.

        Args:
            decay: What weight decay has made of 1 meanwhile; the other rows are multiplied by it.
        """
        if not self._is_replaced:
            return
        used_UD = self._encoder.embeddings.word.weight
        self._whole.weight.mul_(decay)
        self._whole.weight[self._index()] = used_UD.to(self._whole.weight)
        self._encoder.embeddings.word = self._whole

    def _index(self) -> torch.Tensor:
        return torch.from_numpy(self._ids.astype(np.int64)).to(self._whole.weight.device)
