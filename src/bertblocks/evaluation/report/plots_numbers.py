"""Pictures of a regression: answers against truth, errors, errors by size of the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MatplotlibPath
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bertblocks.evaluation.report.inks import ACCENT, BAD_FILL, GOOD_FILL, MUTED, TEXT
from bertblocks.evaluation.report.number_errors import ErrorCounts, JointCounts, SizeBin, padded
from bertblocks.evaluation.report.phrases import significant
from bertblocks.evaluation.report.pictures import Picture, Sketch, drawn

# A bin with one row of many can still be seen.
_FAINTEST = 0.12


def set_numbers(axes: Axes, *names: str) -> None:
    """Label axes ("x", "y") by numbers that are short, whatever their size, and not too many."""
    for name in names:
        axis = axes.xaxis if name == "x" else axes.yaxis
        axis.set_major_locator(MaxNLocator(nbins=5))
        axis.set_major_formatter(FuncFormatter(lambda value, _: significant(value)))


def _roomy(low: float, high: float) -> tuple[float, float]:
    """A range in which no symbol is cut by the frame."""
    start, end = padded(low, high)
    return start - (0.06 * (end - start) if low < 0 else 0.0), end


@drawn
def joint_picture(joint: JointCounts) -> Picture:
    """Draw how many rows have which truth and answer; the darker, the more."""
    sketch = Sketch(340, 330, left=58)
    axes = sketch.axes
    x, y = joint.truth_edges, joint.answer_edges
    filled = np.argwhere(joint.counts)
    # Logarithmic: otherwise one crowded bin would make all others invisible.
    heights = np.log1p(joint.counts[tuple(filled.T)])
    shades = _FAINTEST + (1 - _FAINTEST) * heights / heights.max()
    for shade in np.unique(shades.round(2)):
        corners = [
            [(x[i], y[j]), (x[i + 1], y[j]), (x[i + 1], y[j + 1]), (x[i], y[j + 1])]
            for i, j in filled[shades.round(2) == shade]
        ]
        # One shape for all bins of a shade: a third of the bytes.
        shape = MatplotlibPath.make_compound_path_from_polys(np.array(corners))
        axes.add_patch(PathPatch(shape, facecolor=ACCENT, alpha=float(shade), linewidth=0))
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    axes.plot([x[0], x[-1]], [x[0], x[-1]], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xlabel="truth", ylabel="answer of the model")
    set_numbers(axes, "x", "y")
    return sketch.finish("predicted-against-true", "Answers of the model against the truth")


@drawn
def errors_picture(errors: ErrorCounts) -> Picture:
    """Draw how often the model is off by how much, and to which side."""
    sketch = Sketch(left=58)
    sketch.axes.bar(
        errors.edges[:-1],
        errors.counts,
        width=np.diff(errors.edges),
        align="edge",
        color=GOOD_FILL,
        linewidth=0,
    )
    sketch.axes.axvline(0, color=TEXT, linewidth=1)
    sketch.axes.set(xlabel="answer less truth", ylabel="texts", xlim=(errors.edges[0], errors.edges[-1]))
    sketch.axes.grid(False, axis="x")
    set_numbers(sketch.axes, "x", "y")
    return sketch.finish("errors", "Distribution of the errors")


@drawn
def sizes_picture(sizes: Sequence[SizeBin]) -> Picture:
    """Draw the error by the size of the truth."""
    sketch = Sketch(height=290, left=58, bottom=72)
    axes = sketch.axes
    places = np.arange(len(sizes))
    absolute = [entry.mean_absolute_error for entry in sizes]
    means = [entry.mean_error for entry in sizes]
    axes.bar(places, absolute, width=0.75, color=GOOD_FILL, linewidth=0, label="off by, on average")
    axes.plot(
        places,
        means,
        color=BAD_FILL,
        marker="D",
        markersize=6,
        linestyle="none",
        label="too high (+) or low (−)",
    )
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.set(xlabel="truth, from small to large", ylim=_roomy(min(0, *means), max(*absolute, *means)))
    middles = [significant((entry.low + entry.high) / 2) for entry in sizes]
    shown = places if len(sizes) <= 5 else places[:: max(1, len(sizes) // 4)]
    axes.set_xticks(shown, labels=[middles[place] for place in shown])
    axes.grid(False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: significant(value)))
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.19), borderaxespad=0, ncols=2, columnspacing=1.2)
    return sketch.finish("errors-by-size", "Error by size of the truth")
