"""The lines of training.jsonl as curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of more steps neighbours are averaged: a picture is not wider.
_MAX_POINTS = 300


@dataclass(frozen=True, kw_only=True, eq=False)
class StepCurve:
    """A figure over the steps; where there are many, each point is the mean of some neighbours.

    Attributes:
        steps: The last step of each point.
        values: One a point.
        steps_a_point: How many steps were averaged.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    steps_a_point: int


@dataclass(frozen=True, kw_only=True)
class EpochPoint:
    """The validation rows after an epoch.

    Attributes:
        epoch: From 1.
        step: Steps done by then.
        metrics: Figures by name, finite ones alone.
        best: Whether it was the best epoch so far.
    """

    epoch: int
    step: int
    metrics: Mapping[str, float]
    best: bool


def step_curve(history: Sequence[Mapping[str, Any]], name: str) -> StepCurve | None:
    """The curve of a figure of the steps; None where fewer than two steps have it."""
    points = [(line["step"], line[name]) for line in history if _has(line, name)]
    return _averaged(points)


def speed_curve(history: Sequence[Mapping[str, Any]]) -> StepCurve | None:
    """Tokens a second; None where fewer than two steps tell them."""
    points = [
        (line["step"], line["num_tokens"] / line["seconds"])
        for line in history
        if _has(line, "num_tokens")
        and _has(line, "seconds")
        and line["seconds"] > 0
        and line["num_tokens"] > 0
    ]
    return _averaged(points)


def epoch_points(history: Sequence[Mapping[str, Any]]) -> tuple[EpochPoint, ...]:
    """The epochs of a run, in their order."""
    return tuple(
        EpochPoint(
            epoch=int(line["epoch"]),
            step=int(line["step"]),
            metrics={name: float(value) for name, value in line["metrics"].items() if _is_number(value)},
            best=line.get("best") is True,
        )
        for line in history
        if line.get("event") == "epoch"
        and _is_number(line.get("epoch"))
        and _is_number(line.get("step"))
        and isinstance(line.get("metrics"), Mapping)
    )


def _has(line: Mapping[str, Any], name: str) -> bool:
    return line.get("event") == "step" and _is_number(line.get("step")) and _is_number(line.get(name))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _averaged(points: Sequence[tuple[float, float]]) -> StepCurve | None:
    if len(points) < 2:
        return None
    each = -(-len(points) // _MAX_POINTS)
    columns = np.asarray(points, dtype=np.float64)
    starts = np.arange(0, len(columns), each)
    sizes = np.diff(np.append(starts, len(columns)))
    return StepCurve(
        steps=columns[starts + sizes - 1, 0],
        values=np.add.reduceat(columns[:, 1], starts) / sizes,
        steps_a_point=each,
    )
