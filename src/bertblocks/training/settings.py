"""What can be chosen about a training run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from bertblocks.encoder import EncoderConfig, Precision
from bertblocks.errors import ConfigError

OptimizerName = Literal["adamw", "google-adamw"]


@dataclass(frozen=True, kw_only=True)
class _Defaults:
    """Measured in benchmarks/fine_tuning.py; wide encoders are 768 and more, narrow ones less."""

    epochs: int
    patience: int
    wide_rate: float
    narrow_rate: float
    head_rate: float


_FINE_TUNING = _Defaults(epochs=4, patience=2, wide_rate=5e-5, narrow_rate=1e-4, head_rate=1e-3)
_HEAD_ONLY = _Defaults(epochs=40, patience=5, wide_rate=1e-3, narrow_rate=1e-3, head_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How weights are fitted. None means: the default for this encoder and mode, see `resolved`.

    Attributes:
        epochs: Passes over the training rows, at most.
        batch_tokens: Most tokens that go through the encoder at once.
        min_batch_texts: A step takes at least this many texts, in several parts where batch_tokens is less.
        learning_rate: Peak of the schedule.
        head_learning_rate: The same for new layers, which start from nothing.
        warmup_fraction: Share of all steps in which the rate rises from 0; then it falls linearly to 0.
        weight_decay: On matrices only, never on biases and norms.
        max_grad_norm: Gradients are scaled down to this global norm.
        optimizer: "adamw" corrects Adam's bias; "google-adamw" does not, as BERT was trained (epsilon 1e-6).
        class_weight: "auto" weighs classes inversely to their frequency.
        metric: What the best epoch is chosen by; None is the task's own.
        patience: Stop after so many epochs without a gain.
        precision: "auto" takes the fastest on this machine.
        device: "auto" takes CUDA where there is one.
        seed: Of new weights, dropout and the order of rows.
        checkpoint_every_s: Seconds between checkpoints.
    """

    epochs: int | None = None
    batch_tokens: int = 2048
    min_batch_texts: int = 16
    learning_rate: float | None = None
    head_learning_rate: float | None = None
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    optimizer: OptimizerName = "adamw"
    class_weight: Literal["auto"] | None = None
    metric: str | None = None
    patience: int | None = None
    precision: Precision = "auto"
    device: str = "auto"
    seed: int = 0
    checkpoint_every_s: float = 120.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value}, but must be above 0"
            for name in (
                "epochs",
                "batch_tokens",
                "min_batch_texts",
                "learning_rate",
                "max_grad_norm",
                "patience",
            )
            if (value := getattr(self, name)) is not None and value <= 0
        ]
        if not 0 <= self.warmup_fraction < 1:
            problems.append(f"warmup_fraction is {self.warmup_fraction}, but must lie in [0, 1)")
        if self.weight_decay < 0 or self.checkpoint_every_s < 0:
            problems.append("weight_decay and checkpoint_every_s must not be negative")
        for name, kind in (("optimizer", OptimizerName), ("precision", Precision)):
            if getattr(self, name) not in get_args(kind):
                problems.append(f"{name} is {getattr(self, name)!r}, but must be one of {get_args(kind)}")
        if self.class_weight not in (None, "auto"):
            problems.append(f"class_weight is {self.class_weight!r}, but must be 'auto' or None")
        if problems:
            raise ConfigError("Training cannot run with these settings: " + "; ".join(problems) + ".")

    def resolved(self, config: EncoderConfig, *, trainable: bool) -> TrainingSettings:
        """The same settings with every None replaced by the default for this encoder (docs/training.md).

        Args:
            config: The encoder's sizes.
            trainable: Whether the encoder is trained too, or only the head on its vectors.
        """
        defaults = _FINE_TUNING if trainable else _HEAD_ONLY
        rate = defaults.wide_rate if config.hidden_size >= 768 else defaults.narrow_rate
        return replace(
            self,
            epochs=self.epochs or defaults.epochs,
            patience=self.patience or defaults.patience,
            learning_rate=self.learning_rate or rate,
            head_learning_rate=self.head_learning_rate or self.learning_rate or defaults.head_rate,
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingSettings:
        """Read what to_json wrote.

        Raises:
            ConfigError: If a key is unknown.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ConfigError(f"Training has no setting {unknown}; its settings are {sorted(known)}.")
        return cls(**data)
