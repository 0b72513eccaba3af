"""Labelled texts, ready to train on or to be compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.data import ModelInput, train_validation_split
from bertblocks.errors import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class LabeledTexts:
    """Columns of a table in memory.

    Attributes:
        texts: One a row; or token ids, as data.read_examples gives them.
        pairs: The second texts, for models with two text inputs.
        targets: As data.encode_targets gives them.
        groups: For metrics by group.
        weights: How much each row counts in the loss; None where all count the same.
    """

    texts: Sequence[ModelInput]
    targets: NDArray[Any]
    pairs: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        lengths = {
            "texts": len(self.texts),
            "targets": len(self.targets),
            **({"pairs": len(self.pairs)} if self.pairs is not None else {}),
            **({"groups": len(self.groups)} if self.groups is not None else {}),
            **({"weights": len(self.weights)} if self.weights is not None else {}),
        }
        if len(set(lengths.values())) > 1:
            raise DataError(f"Columns must have one value a row, but their lengths are {lengths}.")
        if not len(self.texts):
            raise DataError("There are no rows to train on.")

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: NDArray[np.int64]) -> LabeledTexts:
        """The chosen rows, in the order of indices."""
        return LabeledTexts(
            texts=[self.texts[index] for index in indices],
            targets=self.targets[indices],
            pairs=None if self.pairs is None else [self.pairs[index] for index in indices],
            groups=None if self.groups is None else [self.groups[index] for index in indices],
            weights=None if self.weights is None else self.weights[indices],
        )

    def divided(self, task: Task, *, fraction: float, seed: int) -> tuple[LabeledTexts, LabeledTexts]:
        """Rows to learn from and rows to be judged by, see data.train_validation_split.

        A row of weight 0 is not trusted, so no model is judged by it.
        """
        judges = np.arange(len(self)) if self.weights is None else np.flatnonzero(self.weights > 0)
        _, chosen = train_validation_split(self.targets[judges], task, fraction=fraction, seed=seed)
        held_out = judges[chosen]
        return self.take(np.setdiff1d(np.arange(len(self)), held_out)), self.take(held_out)

    def fingerprint(self) -> str:
        """A sha256 that changes when a text, a pair, a target or a weight does."""
        digest = hashlib.sha256(np.ascontiguousarray(self.targets).tobytes())
        if self.weights is not None:
            digest.update(self.weights.tobytes())
        for column in (self.texts, self.pairs or ()):
            for text in column:
                content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text.tobytes()
                digest.update(len(content).to_bytes(8, "little") + content)
            digest.update(b"\xff")
        return digest.hexdigest()
