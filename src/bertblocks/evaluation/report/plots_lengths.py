"""How long the texts are, with the cut marked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from bertblocks.evaluation.report.inks import BAD_FILL, GOOD_FILL
from bertblocks.evaluation.report.phrases import significant
from bertblocks.evaluation.report.pictures import Picture, Sketch, drawn
from bertblocks.evaluation.report.plots_numbers import set_numbers
from bertblocks.evaluation.tokens import TokenCounts

_BINS = 30
# If the longest text is so many times the median, equal bins would put nearly all texts into one.
_LONG_TAIL = 8
_DECADES = (
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    1_000_000,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class LengthCounts:
    """Rows by number of tokens.

    Attributes:
        edges: Ends of the bins, whole numbers, shape (bins + 1,); the last one is not within its bin.
        counts: Rows in each.
        is_logarithmic: Whether the bins grow.
        limit: Tokens that are read at most; None where there is no limit.
        in_windows: Whether longer texts are read in windows.
    """

    edges: NDArray[np.int64]
    counts: NDArray[np.int64]
    is_logarithmic: bool
    limit: int | None
    in_windows: bool


def length_counts(tokens: TokenCounts) -> LengthCounts:
    """Count rows by number of tokens, before they were cut."""
    lengths: NDArray[Any] = np.asarray(tokens.num_tokens)
    shortest, longest = int(lengths.min()), int(lengths.max())
    is_logarithmic = longest > _LONG_TAIL * max(1.0, float(np.median(lengths)))
    spread = np.geomspace if is_logarithmic else np.linspace
    # Bins of whole numbers: none is wider than its neighbours by a token that cannot be.
    step = max(1, -(-(longest + 1 - shortest) // _BINS))
    edges = (
        np.unique(spread(max(1, shortest), longest + 1, _BINS + 1).round().astype(np.int64))
        if is_logarithmic
        else np.arange(shortest, longest + 1 + step, step, dtype=np.int64)
    )
    # A logarithmic axis has no 0.
    counts, _ = np.histogram(np.maximum(lengths, edges[0]), bins=edges)
    return LengthCounts(
        edges=edges,
        counts=counts.astype(np.int64),
        is_logarithmic=is_logarithmic,
        limit=tokens.sequence_length,
        in_windows=tokens.in_windows,
    )


@drawn
def lengths_picture(lengths: LengthCounts) -> Picture:
    """Draw the counts; bins beyond the limit in another colour."""
    sketch = Sketch(height=270, left=58, bottom=58)
    axes = sketch.axes
    starts, ends = lengths.edges[:-1], lengths.edges[1:]
    limit = lengths.limit
    is_over = np.zeros(len(starts), dtype=bool) if limit is None else starts > limit
    for chosen, fill in ((~is_over, GOOD_FILL), (is_over, BAD_FILL)):
        axes.bar(
            starts[chosen],
            lengths.counts[chosen],
            width=(ends - starts)[chosen],
            align="edge",
            color=fill,
            linewidth=0,
        )
    low, high = float(starts[0]), float(ends[-1])
    if limit is not None:
        words = "read in windows of" if lengths.in_windows else "cut after"
        axes.axvline(
            limit + 1, color=BAD_FILL, linewidth=1.6, linestyle="--", label=f"{words} {limit:,} tokens"
        )
        # A limit that lies far beyond all texts would press them together.
        if limit + 1 < 2 * high:
            high = max(high, 1.03 * (limit + 1))
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.19), borderaxespad=0)
    set_numbers(axes, "x", "y")
    if lengths.is_logarithmic:
        axes.set_xscale("log")
        ticks = [tick for tick in _DECADES if low <= tick <= high]
        axes.xaxis.set_major_locator(FixedLocator(ticks[:: max(1, len(ticks) // 5)]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: significant(value)))
    axes.set(xlabel="tokens of a text", ylabel="texts", xlim=(low, high))
    axes.grid(False, axis="x")
    return sketch.finish("lengths", "Lengths of the texts in tokens")
