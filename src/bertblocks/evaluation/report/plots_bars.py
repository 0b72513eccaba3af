"""Horizontal bars with names at the left: groups with intervals, shares, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.report.inks import ACCENT, BAD_FILL, GOOD_FILL, MUTED, TEXT
from bertblocks.evaluation.report.number_errors import padded
from bertblocks.evaluation.report.pictures import Picture, Sketch, drawn, drawn_width, narrowed
from bertblocks.evaluation.report.plots_numbers import set_numbers

_ROW_HEIGHT = 17
_WIDTH = 360
_NAME_COLUMNS = 18
_NAME_SIZE = 10


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A named figure.

    Attributes:
        name: What a user called it.
        value: Its length.
        interval: Where the figure may lie.
        is_marked: Whether it is drawn in the colour of what is bad.
    """

    name: str
    value: float
    interval: Interval | None = None
    is_marked: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """A figure that all bars are compared with.

    Attributes:
        value: Where it stands.
        name: Our name for it.
    """

    value: float
    name: str


@drawn
def bars_picture(
    name: str,
    title: str,
    axis: str,
    bars: Sequence[Bar],
    *,
    lines: Sequence[Line] = (),
    gap_after: int | None = None,
    gap_words: str = "",
) -> Picture:
    """Draw bars from above to below.

    Args:
        name: Of the picture.
        title: Of the picture.
        axis: What the bars measure.
        bars: In their order.
        lines: At most two figures to compare with.
        gap_after: After so many bars there is a gap, where bars were left out.
        gap_words: What was left out.
    """
    places = np.arange(len(bars)) + 1.4 * (np.arange(len(bars)) >= (gap_after or len(bars)))
    height = _ROW_HEIGHT * (places[-1] + 1)
    names = [bar.name for bar in bars]
    room = {"left": _name_room(names), "right": 16, "top": 6, "bottom": 40 + 14 * len(lines)}
    sketch = Sketch(_WIDTH, height + room["top"] + room["bottom"], **room)
    axes = sketch.axes
    for place, bar in zip(places, bars, strict=True):
        fill = BAD_FILL if bar.is_marked else GOOD_FILL
        axes.barh(place, bar.value, height=0.66, color=fill, linewidth=0)
        if bar.interval is not None:
            axes.plot([bar.interval.low, bar.interval.high], [place, place], color=TEXT, linewidth=1.1)
    if gap_after is not None:
        axes.text(0, places[gap_after] - 1.2, gap_words, color=MUTED, va="center", fontsize=9)
    for line, dashes in zip(lines, ("--", ":"), strict=False):
        axes.axvline(line.value, color=ACCENT, linewidth=1.4, linestyle=dashes, label=line.name)
    axes.set(xlabel=axis, ylim=(places[-1] + 0.6, -0.6), xlim=_range(bars, lines))
    axes.set_yticks(places, labels=[sketch.user_text(name, _NAME_COLUMNS) for name in names], color=TEXT)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    set_numbers(axes, "x")
    if lines:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -36 / height), borderaxespad=0)
    return sketch.finish(name, title)


@drawn
def pairs_picture(
    name: str,
    title: str,
    axis: str,
    names: Sequence[str],
    first: tuple[str, Sequence[int]],
    second: tuple[str, Sequence[int]],
) -> Picture:
    """Draw two bars of counts for each name.

    Args:
        name: Of the picture.
        title: Of the picture.
        axis: What is counted.
        names: What users called them.
        first: What the upper bars are, and their lengths.
        second: What the lower bars are, and their lengths.
    """
    places = np.arange(len(names))
    height = (_ROW_HEIGHT + 7) * len(names)
    room = {"left": _name_room(names), "right": 16, "top": 6, "bottom": 56}
    sketch = Sketch(_WIDTH, height + room["top"] + room["bottom"], **room)
    axes = sketch.axes
    for shift, fill, (words, lengths) in ((-0.2, GOOD_FILL, first), (0.2, BAD_FILL, second)):
        axes.barh(places + shift, lengths, height=0.38, color=fill, linewidth=0, label=words)
    axes.set(xlabel=axis, ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(places, labels=[sketch.user_text(name, _NAME_COLUMNS) for name in names], color=TEXT)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    set_numbers(axes, "x")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -36 / height), borderaxespad=0, ncols=2)
    return sketch.finish(name, title)


def _name_room(names: Sequence[str]) -> float:
    """Points that the widest name needs at the left."""
    return 14 + max(drawn_width(narrowed(name, _NAME_COLUMNS), _NAME_SIZE) for name in names)


def _range(bars: Sequence[Bar], lines: Sequence[Line]) -> tuple[float, float]:
    """From 0, since bars are compared by their length, to the longest; shares to 1 if they come near."""
    ends = [bar.value for bar in bars] + [line.value for line in lines]
    ends += [end for bar in bars if bar.interval for end in (bar.interval.low, bar.interval.high)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    if 0.5 < high <= 1:
        return padded(low, 1.0) if low < 0 else (0.0, 1.01)
    return padded(low, high) if low < 0 else (0.0, padded(0.0, high)[1])
