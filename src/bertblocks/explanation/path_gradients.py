"""Gradients at points of the way from a baseline to texts, many points in one packed batch.

Axes: T packed tokens, B points, C outputs, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertblocks.assembly import TextModel, pack
from bertblocks.batching import plan_sorted
from bertblocks.blocks import Task
from bertblocks.explanation.outputs import explained_output
from bertblocks.explanation.rows import joined
from bertblocks.text import LocatedText


class PathGradients:
    """Texts on their way from a baseline, in which every word's vector is the same.

    What moves are the word vectors of the text's own tokens. Special tokens, positions and segments are the
    same all along.

    Args:
        module: The model, float32, in evaluation mode.
        task: What it was asked.
        baseline_D: The word vector that every token has at the beginning.
        texts: Rows of ids.
        columns: The label that is explained of each, by its place.
        batch_tokens: Most tokens that go through the encoder at once.
    """

    def __init__(
        self,
        module: TextModel,
        task: Task,
        baseline_D: Tensor,
        texts: Sequence[LocatedText],
        columns: NDArray[np.int64],
        batch_tokens: int,
    ) -> None:
        self._module = module
        self._task = task
        self._baseline_D = baseline_D
        self._encoded = joined([text.encoded for text in texts])
        self._is_special = [text.is_special for text in texts]
        self._columns = columns
        self._batch_tokens = batch_tokens

    def at(
        self, rows: NDArray[np.int64], shares: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        """Outputs and gradients at points of the way.

        Args:
            rows: The text of each point.
            shares: How far it has come: 0 is the baseline, 1 the text.

        Returns:
            The output at each point, shape (points,); and for each point what every token's way contributes
            there, the gradient times the difference between its vector and the baseline's, shape (tokens,).
        """
        lengths = np.array([len(self._encoded.ids[row]) for row in rows], dtype=np.int64)
        outputs = np.empty(len(rows))
        found: list[NDArray[np.float64]] = [np.empty(0)] * len(rows)
        for batch in plan_sorted(lengths, self._batch_tokens):
            outputs[batch], gains_T = self._compute(rows[batch], shares[batch], lengths[batch])
            for index, own in zip(batch, np.split(gains_T, np.cumsum(lengths[batch])[:-1]), strict=True):
                found[index] = own
        return outputs, found

    def _compute(
        self, rows: NDArray[np.int64], shares: NDArray[np.float64], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        is_special = np.concatenate([self._is_special[row] for row in rows])
        missing = np.repeat(1 - shares, lengths).astype(np.float32)
        # A caller may be under torch.inference_mode, whose tensors have no gradients.
        with torch.inference_mode(False), torch.enable_grad():
            device = self._baseline_D.device
            packed = pack(self._encoded, rows).to(device)
            is_special_T, missing_T, columns_B = (
                torch.from_numpy(values).to(device) for values in (is_special, missing, self._columns[rows])
            )
            words_TD = self._module.encoder.embeddings.word.weight.detach()[packed.input_ids_T]
            way_TD = (words_TD - self._baseline_D).masked_fill(is_special_T[:, None], 0.0)
            vectors_TD = (words_TD - missing_T[:, None] * way_TD).requires_grad_()
            logits_BC = self._module(replace(packed, word_vectors_TD=vectors_TD))
            outputs_B = explained_output(self._task, logits_BC, columns_B)
            (gradient_TD,) = torch.autograd.grad(outputs_B.sum(), vectors_TD)
            gains_T = (gradient_TD * way_TD).sum(1, dtype=torch.float64)
        return outputs_B.detach().cpu().numpy(), gains_T.cpu().numpy()
