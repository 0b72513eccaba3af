"""Curves of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.evaluation.report.inks import SERIES, TEXT
from bertblocks.evaluation.report.metric_words import metric_name
from bertblocks.evaluation.report.number_errors import padded
from bertblocks.evaluation.report.pictures import Picture, Sketch, drawn
from bertblocks.evaluation.report.plots_curves import DASHES
from bertblocks.evaluation.report.plots_numbers import set_numbers
from bertblocks.evaluation.report.training_curves import EpochPoint, StepCurve


@drawn
def loss_picture(loss: StepCurve, epochs: Sequence[EpochPoint]) -> Picture:
    """Draw the loss of the training rows, and that of the validation rows where it was computed."""
    sketch = Sketch(height=290, left=58, bottom=62)
    sketch.axes.plot(loss.steps, loss.values, color=SERIES[0], label="training rows")
    validated = [point for point in epochs if "loss" in point.metrics]
    values = [point.metrics["loss"] for point in validated]
    if validated:
        steps = [point.step for point in validated]
        sketch.axes.plot(
            steps, values, color=SERIES[1], marker="o", linestyle=DASHES[1], label="validation rows"
        )
    _finish_axes(sketch, "loss", [*loss.values, *values])
    sketch.axes.legend(loc="upper left", bbox_to_anchor=(0, -0.22), borderaxespad=0, ncols=2)
    return sketch.finish("loss", "Loss over the steps of training")


@drawn
def metrics_picture(epochs: Sequence[EpochPoint], names: Sequence[str]) -> Picture:
    """Draw metrics of the validation rows after each epoch; the best epoch has a ring."""
    sketch = Sketch(height=280 + 13 * len(names), left=58, bottom=46 + 13 * len(names))
    values: list[float] = []
    best = next((point for point in reversed(epochs) if point.best), None)
    for place, name in enumerate(names):
        measured = [point for point in epochs if name in point.metrics]
        heights = [point.metrics[name] for point in measured]
        values += heights
        style: dict[str, Any] = {
            "color": SERIES[place],
            "linestyle": DASHES[place],
            "marker": "o",
            "markersize": 4,
        }
        sketch.axes.plot([point.epoch for point in measured], heights, **style, label=metric_name(name))
        if best is not None and name in best.metrics:
            ring: dict[str, Any] = {
                "marker": "o",
                "markersize": 10,
                "markerfacecolor": "none",
                "markeredgecolor": TEXT,
            }
            sketch.axes.plot(best.epoch, best.metrics[name], linestyle="none", clip_on=False, **ring)
    _finish_axes(sketch, "", values)
    first, last = epochs[0].epoch, epochs[-1].epoch
    sketch.axes.set(xlabel="epoch", xlim=padded(first, last))
    sketch.axes.set_xticks(np.unique(np.linspace(first, last, min(6, last - first + 1)).round()).tolist())
    sketch.axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), borderaxespad=0)
    return sketch.finish("metrics", "Metrics of the validation rows by epoch")


@drawn
def steps_picture(name: str, title: str, axis: str, curve: StepCurve) -> Picture:
    """Draw a figure over the steps, from 0 on."""
    sketch = Sketch(height=220, left=64)
    sketch.axes.plot(curve.steps, curve.values, color=SERIES[0])
    _finish_axes(sketch, axis, [0.0, *curve.values])
    return sketch.finish(name, title)


def _finish_axes(sketch: Sketch, axis: str, values: Sequence[float] | NDArray[np.float64]) -> None:
    sketch.axes.set(xlabel="step", ylabel=axis, ylim=padded(float(np.min(values)), float(np.max(values))))
    set_numbers(sketch.axes, "x", "y")
