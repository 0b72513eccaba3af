"""What a model predicts, and how its logits become a prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from bertblocks.blocks.changed_options import changed_options
from bertblocks.blocks.field_types import type_problems
from bertblocks.errors import ConfigError

TaskKind = Literal["classification", "binary", "multilabel", "regression"]
OutputActivation = Literal["softmax", "sigmoid", "linear"]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The question that a model answers about a text.

    Attributes:
        kind: "classification" (one of several classes), "binary" (yes or no), "multilabel" (any number of
            labels) or "regression" (a number).
        labels: The classes in the order of the logits; of a binary task the negative one first. Empty for
            regression.
        target_mean: Regression trains on (target - target_mean) / target_scale.
        target_scale: See target_mean; positive.
        thresholds: Multi-label: probability from which each label is given; 0.5 each where empty.
        temperature: Logits are divided by it before softmax or sigmoid: calibration, 1.0 until fitted.
        temperatures: Multi-label: one for each label, in place of the one for all; empty where that holds.

    Raises:
        ConfigError: If the parts contradict each other; all problems at once.
    """

    kind: TaskKind
    labels: tuple[str, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0
    thresholds: tuple[float, ...] = ()
    temperature: float = 1.0
    temperatures: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        problems = self._problems()
        if problems:
            raise ConfigError("The task contradicts itself: " + "; ".join(problems) + ".")

    def _problems(self) -> list[str]:
        if problems := list(type_problems(self)):
            return problems
        if self.kind == "regression" and self.labels:
            problems.append(f"a regression has no labels, found {len(self.labels)}")
        if self.kind == "binary" and len(self.labels) != 2:
            problems.append(f"a binary task has two labels, found {len(self.labels)}")
        if self.kind == "classification" and len(self.labels) < 2:
            problems.append(f"a classification needs at least two labels, found {len(self.labels)}")
        if self.kind == "multilabel" and not self.labels:
            problems.append("a multi-label task needs at least one label")
        if len(set(self.labels)) != len(self.labels):
            problems.append("labels are repeated")
        if not (math.isfinite(self.target_mean) and 0 < self.target_scale < math.inf):
            problems.append(
                f"target_mean {self.target_mean} must be finite and target_scale {self.target_scale} positive"
            )
        if self.kind != "regression" and (self.target_mean, self.target_scale) != (0, 1):
            problems.append("target_mean and target_scale belong to regression")
        if self.thresholds and (self.kind != "multilabel" or len(self.thresholds) != len(self.labels)):
            problems.append("thresholds belong to multi-label tasks, one a label")
        if not all(0 <= threshold <= 1 for threshold in self.thresholds):
            problems.append(f"thresholds are {self.thresholds}, but must be probabilities")
        if self.kind == "regression" and self.temperature != 1:
            problems.append("temperature belongs to probabilities, which a regression has not")
        if not 0 < self.temperature < math.inf:
            problems.append(f"temperature is {self.temperature}, but must be positive")
        problems += self._temperatures_problems()
        return problems

    def _temperatures_problems(self) -> list[str]:
        if not self.temperatures:
            return []
        problems = []
        if self.kind != "multilabel" or len(self.temperatures) != len(self.labels):
            problems.append("temperatures belong to multi-label tasks, one a label")
        if self.temperature != 1:
            problems.append("temperature has no effect beside temperatures")
        if not all(0 < temperature < math.inf for temperature in self.temperatures):
            problems.append(f"temperatures are {self.temperatures}, but must be positive")
        return problems

    @property
    def num_outputs(self) -> int:
        """Logits a text: one a label, or one for a number."""
        return len(self.labels) or 1

    @property
    def activation(self) -> OutputActivation:
        """What turns logits into the prediction; stored by the kind of task, never guessed from a size."""
        if self.kind == "regression":
            return "linear"
        return "sigmoid" if self.kind == "multilabel" else "softmax"

    @property
    def positive_label(self) -> str | None:
        """The label whose probability answers a yes-or-no question; None for other tasks."""
        return self.labels[1] if self.kind == "binary" else None

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back; what has its default is left out."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in changed_options(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Task:
        """Read what to_json wrote.

        Raises:
            ConfigError: If a key is unknown or missing, or the parts contradict each other.
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"A task is a JSON object, found {type(data).__name__}.")
        known = {field.name for field in fields(cls)}
        problems = [f"unknown: {unknown!s:.500}"] if (unknown := sorted(map(str, set(data) - known))) else []
        problems += [] if "kind" in data else ["'kind' is required"]
        if problems:
            raise ConfigError(f"A task has the keys {sorted(known)}; {', '.join(problems)}.")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)
