"""ROC, precision-recall and calibration curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bertblocks.evaluation.calibration_figures import CalibrationFigures
from bertblocks.evaluation.report.curves import LabelCurves
from bertblocks.evaluation.report.inks import MUTED, SERIES, TEXT
from bertblocks.evaluation.report.pictures import Picture, Sketch, drawn

MAX_CURVES = len(SERIES)
# Who does not see colours tells the lines apart by these.
DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (9, 2)),
    (0, (3, 1.2, 1.2, 1.2, 1.2, 1.2)),
)
_AXES = {
    "roc": ("share of false alarms", "share found (recall)"),
    "precision_recall": ("share found (recall)", "share right (precision)"),
}
_TITLES = {"roc": "ROC curves", "precision_recall": "Precision-recall curves"}
_LEGEND_LINE = 13


@drawn
def curves_picture(
    kind: Literal["roc", "precision_recall"],
    curves: Sequence[LabelCurves],
    labels: Sequence[str],
    marks: Sequence[tuple[float, float] | None],
) -> Picture:
    """Draw one kind of curve of some labels.

    Args:
        kind: Which.
        curves: At most MAX_CURVES.
        labels: All labels of the task.
        marks: For each curve where the model's answers lie, in the units of the axes.
    """
    num_lines = len(curves) + (kind == "roc" or len(curves) == 1)
    room = 44 + _LEGEND_LINE * num_lines
    sketch = Sketch(height=250 + room, bottom=room)
    axes = sketch.axes
    for place, (curve, mark) in enumerate(zip(curves, marks, strict=True)):
        line = curve.roc if kind == "roc" else curve.precision_recall
        name = sketch.user_text(labels[curve.label], 36)
        axes.plot(line.x, line.y, color=SERIES[place], linestyle=DASHES[place], label=name)
        if mark is not None:
            axes.plot(
                *mark, marker="o", markersize=7, color=SERIES[place], markeredgecolor=TEXT, clip_on=False
            )
    _draw_chance(sketch, kind, curves)
    _frame_shares(sketch, *_AXES[kind])
    axes.legend(
        loc="upper left", bbox_to_anchor=(0, -0.17), borderaxespad=0, handlelength=3.2, labelspacing=0.35
    )
    return sketch.finish(kind.replace("_", "-"), f"{_TITLES[kind]} by label")


def _draw_chance(sketch: Sketch, kind: str, curves: Sequence[LabelCurves]) -> None:
    """What answers that know nothing would give; of several labels it is one line in a ROC plot alone."""
    if kind == "roc":
        sketch.axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)), label="by chance")
    elif len(curves) == 1:
        share = curves[0].num_having / curves[0].num_rows
        sketch.axes.axhline(share, color=MUTED, linewidth=1, linestyle=(0, (2, 3)), label="by chance")


def _frame_shares(sketch: Sketch, x_label: str, y_label: str) -> None:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    sketch.axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02), xticks=ticks, yticks=ticks)
    sketch.axes.set(xlabel=x_label, ylabel=y_label)


@drawn
def calibration_picture(calibration: CalibrationFigures) -> Picture:
    """Draw how often the model is right by how sure it says it is, before and after calibration."""
    sketch = Sketch(height=320, bottom=86)
    sketch.axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)), label="perfect")
    for bins, name, place, marker in (
        (calibration.before, "before calibration", 1, "s"),
        (calibration.after, "as the model answers", 0, "o"),
    ):
        sketch.axes.plot(
            [entry.confidence for entry in bins],
            [entry.accuracy for entry in bins],
            color=SERIES[place],
            linestyle=DASHES[place],
            marker=marker,
            markersize=5,
            label=name,
        )
    _frame_shares(sketch, "stated probability", "share that was right")
    sketch.axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), borderaxespad=0, handlelength=3.2)
    return sketch.finish("calibration", "Calibration: stated probability against the share that was right")
