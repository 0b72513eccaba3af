"""What a training run tells those who watch it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TokensCounted:
    """The training texts have been tokenized.

    Attributes:
        num_texts: How many there are.
        num_tokens: Their tokens, as far as they are read.
        longest: The most tokens of one text.
    """

    num_texts: int
    num_tokens: int
    longest: int


@dataclass(frozen=True, kw_only=True)
class VectorsDone:
    """A batch of a frozen encoder's vectors has been computed."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How long the run will take, from its first steps."""

    seconds: float
    tokens_per_s: float


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """One update of the weights; also a line of training.jsonl.

    Attributes:
        step: From 1.
        num_steps: Of the whole run, if it does not stop early.
        epoch: From 1.
        loss: Mean over the step's texts.
        learning_rate: Of the encoder, or of the head where the encoder is frozen.
        grad_norm: Before clipping.
        num_texts: Texts of the step.
        num_tokens: Their tokens; 0 where vectors were cached.
        seconds: Time of the step.
    """

    step: int
    num_steps: int
    epoch: int
    loss: float
    learning_rate: float
    grad_norm: float
    num_texts: int
    num_tokens: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class EpochDone:
    """The validation rows after an epoch; also a line of training.jsonl."""

    epoch: int
    step: int
    metrics: Mapping[str, float | None]
    best: bool


Event = TokensCounted | VectorsDone | Estimate | StepDone | EpochDone
Listener = Callable[[Event], None]
Outcome = Literal["all epochs done", "stopped early"]


def ignore(event: Event) -> None:
    """A listener that does not listen."""
