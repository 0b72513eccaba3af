"""Where a training step's inputs come from: packed texts, or vectors that a frozen encoder gave once.

Axes: D hidden size, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bertblocks.assembly import TextModel, pack, run_packed
from bertblocks.batching import plan_sorted, plan_steps
from bertblocks.encoder import DenseLayer
from bertblocks.text import Encoded
from bertblocks.training.processes import ALONE, Processes
from bertblocks.training.settings import TrainingSettings

# A step on cached vectors; they are small, so it is their number that counts and not their tokens.
_VECTORS_A_STEP = 64
_MIN_VECTORS_A_STEP = 16


class StepSource(Protocol):
    """Gives the steps of an epoch and the logits of their texts."""

    def steps(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Indices of each step's texts; the same for the same epoch."""
        ...

    def parts(self, step: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor, int]]:
        """The step in parts that fit the memory: indices, logits with gradients (n, C), tokens."""
        ...

    def validation_logits(self) -> NDArray[np.float32]:
        """Logits of the validation texts, shape (rows, C)."""
        ...


def token_lengths(encoded: Encoded) -> NDArray[np.int64]:
    """Tokens of each text after it was cut."""
    return np.array([len(ids) for ids in encoded.ids], dtype=np.int64)


def text_steps(
    lengths: NDArray[np.int64], settings: TrainingSettings, epoch: int
) -> Iterator[NDArray[np.int64]]:
    """An epoch's steps through texts of these lengths."""
    return plan_steps(
        lengths,
        step_tokens=settings.batch_tokens,
        min_texts=settings.min_batch_texts,
        seed=(settings.seed, epoch),
    )


def vector_steps(num_vectors: int, seed: int, epoch: int) -> Iterator[NDArray[np.int64]]:
    """An epoch's steps through cached vectors."""
    ones = np.ones(num_vectors, dtype=np.int64)
    return plan_steps(ones, step_tokens=_VECTORS_A_STEP, min_texts=_MIN_VECTORS_A_STEP, seed=(seed, epoch))


class TextSource:
    """Steps on texts, through the whole model.

    Args:
        module: On its device.
        train: Tokenized training texts.
        validation: Tokenized validation texts, where there are any.
        settings: Resolved ones.
        autocast: Gives the context in which forward runs, for its precision.
        processes: Of the run; of each step and of the validation texts this one takes its share.
    """

    def __init__(
        self,
        module: TextModel,
        train: Encoded,
        validation: Encoded | None,
        settings: TrainingSettings,
        autocast: Callable[[], AbstractContextManager[Any]],
        processes: Processes = ALONE,
    ) -> None:
        self._module, self._train, self._validation = module, train, validation
        self._settings, self._autocast, self._processes = settings, autocast, processes
        self._lengths = token_lengths(train)
        self._device = next(module.parameters()).device

    def steps(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Indices of each step's texts."""
        return text_steps(self._lengths, self._settings, epoch)

    def parts(self, step: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor, int]]:
        """This process's share of the step, in parts of at most batch_tokens tokens, sorted by length."""
        own = step[self._processes.share(self._lengths[step])]
        for chosen in plan_sorted(self._lengths[own], self._settings.batch_tokens):
            indices = own[chosen]
            packed = pack(self._train, indices).to(self._device)
            with self._autocast():
                logits = self._module(packed)
            yield indices, logits.float(), packed.num_tokens

    def validation_logits(self) -> NDArray[np.float32]:
        """Logits of the validation texts, without dropout."""
        assert self._validation is not None, "validation_logits() needs validation rows"
        own = self._processes.share(token_lengths(self._validation))
        texts = self._validation if self._processes.count == 1 else self._validation.take(own)
        self._module.eval()
        with self._autocast():
            logits = run_packed(
                self._module,
                texts,
                batch_tokens=self._settings.encoding_tokens(self._device),
                device=self._device,
            )
        self._module.train()
        return self._processes.rows_together(logits, own, len(self._validation))


class VectorSource:
    """Steps on cached vectors, through the head alone.

    Args:
        head: Fitted to standardised vectors, see `Standardizer`.
        train_ND: Standardised vectors of the training texts.
        validation_ND: Standardised vectors of the validation texts, where there are any.
        seed: Of the order of the rows.
    """

    def __init__(
        self, head: nn.Sequential, train_ND: Tensor, validation_ND: Tensor | None, *, seed: int
    ) -> None:
        self._head, self._train_ND, self._validation_ND = head, train_ND, validation_ND
        self._seed = seed

    def steps(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Indices of each step's texts."""
        return vector_steps(len(self._train_ND), self._seed, epoch)

    def parts(self, step: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Tensor, int]]:
        """The step in one part."""
        yield step, self._head(self._train_ND[torch.from_numpy(step)]), 0

    def validation_logits(self) -> NDArray[np.float32]:
        """Logits of the validation texts, without dropout."""
        assert self._validation_ND is not None, "validation_logits() needs validation rows"
        self._head.eval()
        with torch.inference_mode():
            logits: NDArray[np.float32] = self._head(self._validation_ND).cpu().numpy()
        self._head.train()
        return logits


class Standardizer:
    """Gives a head inputs of mean 0 and deviation 1 while it trains, and folds them into its weights after.

    The first dense layer computes W x + b = W' (x - mean) / deviation + b' with W' = W deviation and
    b' = b + W mean, so nothing of it remains in the saved model.
    """

    def __init__(self, vectors_ND: Tensor) -> None:
        self._mean_D = vectors_ND.mean(0)
        self._deviation_D = vectors_ND.std(0, correction=0).clamp_min(1e-6)

    def transform(self, vectors_ND: Tensor) -> Tensor:
        """Standardised vectors, shape (N, D)."""
        return (vectors_ND - self._mean_D) / self._deviation_D

    @torch.no_grad()
    def move_into(self, head: nn.Sequential) -> None:
        """Change the head so that it takes standardised vectors."""
        first = _first_dense(head)
        first.bias.add_(first.weight @ self._mean_D)
        first.weight.mul_(self._deviation_D)

    @torch.no_grad()
    def move_out_of(self, head: nn.Sequential) -> None:
        """Change the head back, so that it takes plain vectors."""
        first = _first_dense(head)
        first.weight.div_(self._deviation_D)
        first.bias.sub_(first.weight @ self._mean_D)


def _first_dense(head: nn.Sequential) -> DenseLayer:
    return next(layer for layer in head if isinstance(layer, DenseLayer))
