"""What can be chosen about a training run."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

import torch

from bertblocks.assembly import default_batch_tokens
from bertblocks.blocks import TaskKind
from bertblocks.blocks.field_types import nearest
from bertblocks.encoder import EncoderConfig, TrainingPrecision
from bertblocks.errors import ConfigError
from bertblocks.evaluation import selection_metric, selection_metrics

OptimizerName = Literal["adamw", "google-adamw"]

# A seed also goes to scikit-learn, which takes no larger one.
_LARGEST_SEED = 2**32 - 1
_COUNTS = ("epochs", "batch_tokens", "min_batch_texts", "patience")
_RATES = ("learning_rate", "head_learning_rate", "max_grad_norm")

_METRICS = tuple(dict.fromkeys(name for kind in get_args(TaskKind) for name in selection_metrics(kind)))

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Defaults:
    """What is used where nothing is chosen; measured, see docs/training.md.

    Attributes:
        epochs: Usual number of epochs.
        min_steps: A small table gets more epochs, until it has so many steps.
        max_epochs: But no more than these.
        wide_rate: Peak learning rate of encoders that are 768 wide or more.
        narrow_rate: The same of narrower ones.
        head_rate: The same of new layers.
    """

    epochs: int
    min_steps: int
    max_epochs: int
    wide_rate: float
    narrow_rate: float
    head_rate: float

    def epochs_for(self, steps_per_epoch: int) -> int:
        """Epochs for a table of this size."""
        needed = math.ceil(self.min_steps / max(1, steps_per_epoch))
        return min(self.max_epochs, max(self.epochs, needed))


_FINE_TUNING = _Defaults(
    epochs=4, min_steps=150, max_epochs=20, wide_rate=5e-5, narrow_rate=1e-4, head_rate=1e-3
)
_HEAD_ONLY = _Defaults(
    epochs=40, min_steps=400, max_epochs=100, wide_rate=1e-3, narrow_rate=1e-3, head_rate=1e-3
)
# Weights that begin at random know nothing: they need more steps, and stand higher rates.
_FROM_SCRATCH = _Defaults(
    epochs=20, min_steps=1000, max_epochs=100, wide_rate=1e-4, narrow_rate=5e-4, head_rate=1e-3
)
# A run stops after this share of its epochs without a gain, but not after a single bad one.
_PATIENCE = 0.25
_MIN_PATIENCE = 2


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How weights are fitted. None means: the default for this encoder and table, see `resolved`.

    Attributes:
        epochs: Passes over the training rows, at most.
        batch_tokens: Most tokens that go through the encoder at once.
        min_batch_texts: A step takes at least this many texts, in several parts where batch_tokens is less.
            Of no effect where the encoder is frozen: a step is then of 64 vectors.
        learning_rate: Peak of the schedule.
        head_learning_rate: The same for dense layers, which start from nothing; BERT's pooler does not.
        warmup_fraction: Share of all steps in which the rate rises from 0; then it falls linearly to 0.
        weight_decay: On matrices only, never on biases and norms.
        max_grad_norm: Gradients are scaled down to this global norm.
        optimizer: "adamw" corrects Adam's bias; "google-adamw" does not, as BERT was trained (epsilon 1e-6).
        class_weight: "auto" weighs classes inversely to their frequency; or a weight for each label.
        metric: What the best epoch is chosen by; None is the task's own (see `selection_metric`), and macro
            F1 where classes have weights.
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
    class_weight: Literal["auto"] | Mapping[str, float] | None = None
    metric: str | None = None
    patience: int | None = None
    precision: TrainingPrecision = "auto"
    device: str = "auto"
    seed: int = 0
    checkpoint_every_s: float = 120.0

    def __post_init__(self) -> None:
        problems = [*self._number_problems(), *self._choice_problems()]
        if problems:
            raise ConfigError("Training cannot run with these settings: " + "; ".join(problems) + ".")

    def _number_problems(self) -> Iterator[str]:
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and not (_is_number(value, Integral) and value > 0):
                yield f"{name} is {value!r}, but must be a whole number above 0"
        for name in _RATES:
            value = getattr(self, name)
            if value is not None and not (_is_number(value, Real) and 0 < value < math.inf):
                yield f"{name} is {value!r}, but must be a number above 0"
        for name in ("weight_decay", "checkpoint_every_s"):
            value = getattr(self, name)
            if not (_is_number(value, Real) and 0 <= value < math.inf):
                yield f"{name} is {value!r}, but must be a number, and not negative"
        if not (_is_number(self.warmup_fraction, Real) and 0 <= self.warmup_fraction < 1):
            yield f"warmup_fraction is {self.warmup_fraction!r}, but must lie in [0, 1)"
        if not (_is_number(self.seed, Integral) and 0 <= self.seed <= _LARGEST_SEED):
            yield f"seed is {self.seed!r}, but must be a whole number from 0 to {_LARGEST_SEED}"

    def _choice_problems(self) -> Iterator[str]:
        for name, kind in (("optimizer", OptimizerName), ("precision", TrainingPrecision)):
            if getattr(self, name) not in get_args(kind):
                yield f"{name} is {getattr(self, name)!r}, but must be one of {', '.join(get_args(kind))}"
        if self.class_weight not in (None, "auto") and not (
            isinstance(self.class_weight, Mapping) and all(isinstance(key, str) for key in self.class_weight)
        ):
            yield (
                f"class_weight is {self.class_weight!r}, but must be 'auto', None or a weight for each "
                "label, such as {'a': 1, 'b': 2.5}"
            )
        if self.metric is not None and self.metric not in _METRICS:
            meant = nearest(self.metric, _METRICS)
            yield f"metric is {self.metric!r}, but must be one of {', '.join(_METRICS)}{meant}"
        if not isinstance(self.device, str):
            yield f"device is {self.device!r}, but must be 'auto', 'cpu' or 'cuda'"

    def check_task(self, kind: TaskKind, *, has_validation: bool) -> None:
        """Refuse, before any work, what a kind of task cannot do; warn of what has no effect.

        Args:
            kind: Of the task.
            has_validation: Whether there are rows to choose the best epoch by.

        Raises:
            ConfigError: If the task has no such metric, or class weights are asked for of a regression.
        """
        problems = []
        if self.metric is not None and self.metric not in selection_metrics(kind):
            known = ", ".join(selection_metrics(kind))
            problems.append(f"metric is {self.metric!r}, but a {kind} task has {known}")
        if self.class_weight is not None and kind == "regression":
            problems.append("class_weight has no effect on a regression, which has no classes: leave it out")
        if problems:
            raise ConfigError("Training cannot run with these settings: " + "; ".join(problems) + ".")
        idle = [name for name in ("metric", "patience") if getattr(self, name) is not None]
        if idle and not has_validation:
            _LOG.warning(
                "There are no rows for validation, so %s has no effect: all epochs are done and the last is "
                "kept.",
                " and ".join(idle),
            )

    def resolved(
        self,
        config: EncoderConfig,
        kind: TaskKind,
        *,
        trainable: bool,
        steps_per_epoch: int,
        from_scratch: bool = False,
    ) -> TrainingSettings:
        """The same settings with every None replaced by the default for this encoder, task and table.

        Args:
            config: The encoder's sizes.
            kind: Of the task.
            trainable: Whether the encoder is trained too, or only the head on its vectors.
            steps_per_epoch: Steps that an epoch has.
            from_scratch: Whether the encoder's weights are random.
        """
        defaults = _FROM_SCRATCH if from_scratch else _FINE_TUNING
        defaults = defaults if trainable else _HEAD_ONLY
        rate = defaults.wide_rate if config.hidden_size >= 768 else defaults.narrow_rate
        epochs = self.epochs or defaults.epochs_for(steps_per_epoch)
        return replace(
            self,
            epochs=epochs,
            patience=self.patience or max(_MIN_PATIENCE, math.ceil(epochs * _PATIENCE)),
            learning_rate=self.learning_rate or rate,
            head_learning_rate=self.head_learning_rate or self.learning_rate or defaults.head_rate,
            metric=self.metric or self._metric(kind),
        )

    def _metric(self, kind: TaskKind) -> str:
        if self.class_weight is not None and kind != "multilabel":
            # Who weighs rare classes more does not want the epoch that never finds them.
            return "macro_f1"
        return selection_metric(kind)

    def encoding_tokens(self, device: torch.device) -> int:
        """Most tokens that go through the encoder at once where no gradient is needed."""
        usual = default_batch_tokens(device)
        # A GPU holds more than in training, where a step's activations fill it.
        return usual if device.type == "cuda" else min(self.batch_tokens, usual)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingSettings:
        """Read what to_json wrote.

        Raises:
            ConfigError: If a key is unknown, or a value cannot be.
        """
        if not isinstance(data, dict):
            raise ConfigError(f"The settings of training are a JSON object, found {type(data).__name__}.")
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ConfigError(f"Training has no setting {unknown}; its settings are {sorted(known)}.")
        return cls(**data)


def _is_number(value: Any, kind: type) -> bool:
    """Whether it is a number of Python's or numpy's; True and False are none here."""
    return isinstance(value, kind) and not isinstance(value, bool)
