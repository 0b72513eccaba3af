"""The confusion matrix as a picture: truth down the side, answers along the bottom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bertblocks.evaluation.report.inks import ACCENT, BACKGROUND, MUTED, TEXT
from bertblocks.evaluation.report.phrases import significant
from bertblocks.evaluation.report.pictures import Picture, Sketch, drawn, drawn_width, narrowed

# More labels cannot be read in a picture.
MAX_PICTURE_LABELS = 30
# With fewer labels a cell has room for its share too.
_ROOMY_LABELS = 12
_LABEL_COLUMNS = 18
_LABEL_SIZE = 10
# A cell this dark is written on in the page's background.
_DARK = 0.55


@drawn
def confusion_picture(labels: Sequence[str], counts: NDArray[np.int64]) -> Picture:
    """Draw counts, shape (labels, labels), truth first; the darker, the larger the share of the truth."""
    num_labels = len(labels)
    cell = 38 if num_labels <= _ROOMY_LABELS else 21
    side = max(cell * num_labels, 150)
    names = [narrowed(label, _LABEL_COLUMNS) for label in labels]
    widest = max(drawn_width(name, _LABEL_SIZE) for name in names)
    # Labels of the columns lie on a slope of 45 degrees.
    room = {"left": widest + 24, "bottom": 0.71 * widest + 34, "right": 10, "top": 8}
    sketch = Sketch(side + room["left"] + room["right"], side + room["top"] + room["bottom"], **room)
    axes = sketch.axes
    axes.set(xlim=(-0.5, num_labels - 0.5), ylim=(num_labels - 0.5, -0.5))
    axes.grid(False)
    names = [sketch.user_text(name, _LABEL_COLUMNS) for name in names]
    places = np.arange(num_labels)
    axes.set_yticks(places, labels=names, color=TEXT)
    axes.set_xticks(
        places, labels=names, color=TEXT, rotation=45, ha="right", va="top", rotation_mode="anchor"
    )
    axes.tick_params(length=0)
    axes.set_ylabel("truth", labelpad=0).set_color(MUTED)
    # Where the labels end nobody knows: the titles stand at the edges of the picture.
    axes.yaxis.set_label_coords(-(widest + 10) / side, 0.5)
    axes.set_xlabel("answer of the model")
    axes.xaxis.set_label_coords(0.5, -(0.71 * widest + 16) / side)
    having = counts.sum(axis=1)
    for truth, answer in np.ndindex(counts.shape):
        if number := int(counts[truth, answer]):
            _draw_cell(sketch, truth, answer, number, number / int(having[truth]), num_labels)
    return sketch.finish("confusion", "Confusion matrix: texts by true label (rows) and answer (columns)")


def _draw_cell(sketch: Sketch, truth: int, answer: int, number: int, share: float, num_labels: int) -> None:
    corner = (answer - 0.5, truth - 0.5)
    sketch.axes.add_patch(Rectangle(corner, 1, 1, facecolor=ACCENT, alpha=share, linewidth=0))
    words = _short(number)
    size = 9.5 if num_labels <= _ROOMY_LABELS else 7
    if num_labels <= _ROOMY_LABELS:
        words += f"\n{share:.0%}"
    sketch.axes.text(
        answer,
        truth,
        words,
        ha="center",
        va="center",
        fontsize=size,
        linespacing=1.1,
        color=BACKGROUND if share > _DARK else TEXT,
    )


def _short(number: int) -> str:
    """A count in at most four characters: 12k for 12,345."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if number >= 10 * size or (number >= size and unit == "M"):
            return f"{significant(number / size if number < 100 * size else number // size)}{unit}"
    return f"{number:,}" if number < 1_000 else str(number)
