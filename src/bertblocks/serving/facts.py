"""What a server knows of its model, once the worker has loaded it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ServedTask = Literal["classification", "binary", "multilabel", "regression", "embedding"]


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """The model that is served; plain Python, so that no torch is needed to read it.

    Attributes:
        name: Of its folder, or of the encoder.
        folder: Where it lies.
        task: What it answers; "embedding" is an encoder that gives vectors.
        labels: In the order of the scores, a binary task's positive one last; empty where there are none.
        inputs: The columns of texts that it reads: one, or two for pairs.
        target: The column that it predicts; "vector" for an encoder.
        thresholds: Of several labels: the probability from which each is given.
        sequence_length: Most tokens of a text, or of a window of it.
        slides: Whether longer texts are read in windows, instead of being cut.
        hidden_size: Numbers of a vector.
        pooling: How token vectors become one.
        vocabulary_size: Tokens that it knows.
        precision: Of its products.
        precision_reason: Why this precision.
        kernels: What runs the products.
        device: "cpu" or "cuda".
        num_lanes: Batches that are computed at the same time.
        batch_tokens: Most tokens of a batch.
        explains: Whether it can tell which words mattered.
    """

    name: str
    folder: str
    task: ServedTask
    labels: tuple[str, ...]
    inputs: tuple[str, ...]
    target: str
    thresholds: tuple[float, ...]
    sequence_length: int
    slides: bool
    hidden_size: int
    pooling: str
    vocabulary_size: int
    precision: str
    precision_reason: str
    kernels: str
    device: str
    num_lanes: int
    batch_tokens: int
    explains: bool

    @property
    def takes_pairs(self) -> bool:
        """Whether it reads two texts at a time."""
        return len(self.inputs) == 2

    @property
    def gives_vectors(self) -> bool:
        """Whether it is an encoder."""
        return self.task == "embedding"
