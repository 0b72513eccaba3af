"""What is known of a row once it has been measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engines.interface import Row, Setting, Vectors

# Of the random encoder, int8 that is right stays above this on every text (measured: 0.94 and more); the mean
# of all vectors, which knows nothing of a text, has about 0.9.
_RIGHT_FROM = 0.93


@dataclass(kw_only=True)
class Measured:
    """A row's figures, by workload: "mixed", "fixed", "text" (mixed, from text) and "one-16" and so on.

    Attributes:
        row: Whose they are.
        problem: Why it could not be run, where it could not.
        settings: The kept ones.
        tried: All that were tried, with tokens per second and lowest cosine.
        seconds: One a turn.
        cosines: "lowest" and "mean" over the texts, to the reference's vectors.
        memory: "peak" and "now", after the mixed texts, MB.
        products: Of bertblocks alone, see products.py.
    """

    row: Row
    problem: str | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    tried: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    cosines: dict[str, dict[str, float]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    products: dict[str, float] = field(default_factory=dict)

    def median(self, workload: str) -> float:
        """Seconds of a usual turn."""
        return statistics.median(self.seconds[workload])

    def is_right(self, workload: str) -> bool:
        """Whether its vectors are the reference's, as far as its precision goes."""
        return is_right(self.cosines[workload])

    def record(self) -> dict[str, Any]:
        """For a JSON file."""
        return {
            "name": self.row.name,
            "label": self.row.label,
            "precision": self.row.precision,
            "is_ours": self.row.is_ours,
            "is_default": self.row.is_default,
            "problem": self.problem,
            "is_right": {workload: self.is_right(workload) for workload in self.cosines},
            "settings": {workload: str(setting) for workload, setting in self.settings.items()},
            "tried": self.tried,
            "seconds": self.seconds,
            "cosines": self.cosines,
            "memory_mb": self.memory,
            "products": self.products,
        }


def compare(vectors: Vectors, reference: Vectors) -> dict[str, float]:
    """Cosine of each vector to its reference: the lowest and the mean; a vector that is no number has -1."""
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
    cosines = np.nan_to_num((vectors * reference).sum(1) / np.maximum(lengths, 1e-30), nan=-1.0)
    return {"lowest": float(cosines.min()), "mean": float(cosines.mean())}


def is_right(cosines: dict[str, float]) -> bool:
    """Whether vectors with these cosines are the reference's."""
    return cosines["lowest"] >= _RIGHT_FROM
