"""The integral over the way from a baseline to one text, made finer where it is not yet right.

On most of its way an output hardly changes, and somewhere it changes fast: even points, or any that are fixed
beforehand, are wasted on the one and too few for the other. But at every point the output is known too, so
that each piece of the way can be checked: what the tokens add there must be the difference of the outputs at
its ends. Pieces are integrated by Simpson's rule, and those that miss most are halved, until all together
miss less than is allowed. A piece that is halved uses its three points again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FIRST_PIECES = 4
FEWEST_POINTS = 2 * _FIRST_PIECES + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class _Point:
    output: float
    gains: NDArray[np.float64]


class PathIntegral:
    """One text's way. Points are given by their share of it: 0 is the baseline, 1 the text."""

    def __init__(self) -> None:
        self._points: dict[float, _Point] = {}
        # Halves of halves: sums of powers of 2, which floats hold exactly.
        self._pieces = [(i / _FIRST_PIECES, (i + 1) / _FIRST_PIECES) for i in range(_FIRST_PIECES)]

    @property
    def num_points(self) -> int:
        """Points at which a gradient has been taken."""
        return len(self._points)

    @property
    def output(self) -> float:
        """At the way's end."""
        return self._points[1.0].output

    @property
    def baseline_output(self) -> float:
        """At its beginning."""
        return self._points[0.0].output

    @property
    def unknown_points(self) -> list[float]:
        """Where a gradient has yet to be taken."""
        needed = (point for begin, end in self._pieces for point in (begin, (begin + end) / 2, end))
        return [point for point in dict.fromkeys(needed) if point not in self._points]

    def put(self, share: float, output: float, gains: NDArray[np.float64]) -> None:
        """Tell what there is at a point.

        Args:
            share: Where it lies.
            output: There.
            gains: What each token adds there, by share of the way.
        """
        self._points[share] = _Point(output=output, gains=gains)

    def per_token(self) -> NDArray[np.float64]:
        """What each token adds on the whole way, float64."""
        return np.asarray(np.sum([self._integral(*piece) for piece in self._pieces], axis=0))

    def missed(self) -> float:
        """By how much the pieces miss their differences of outputs, all together and whatever their signs."""
        return sum(self._missed(*piece) for piece in self._pieces)

    def refine(self, allowed: float, max_points: int) -> bool:
        """Halve the worst pieces, as many as it takes for the others to be good enough.

        Args:
            allowed: What all pieces together may miss.
            max_points: Where to stop all the same.

        Returns:
            Whether there are new points; not where nothing more is needed, or allowed.
        """
        left = self.missed()
        if left <= allowed:
            return False
        room = (max_points - self.num_points) // 2
        halved = set()
        for piece in sorted(self._pieces, key=lambda piece: -self._missed(*piece))[:room]:
            # Halves miss something too.
            if left <= allowed / 2:
                break
            left -= self._missed(*piece)
            halved.add(piece)
        self._pieces = [
            part for piece in self._pieces for part in (_halves(*piece) if piece in halved else [piece])
        ]
        return bool(halved)

    def _integral(self, begin: float, end: float) -> NDArray[np.float64]:
        first, middle, last = (self._points[point].gains for point in (begin, (begin + end) / 2, end))
        return (first + 4 * middle + last) * ((end - begin) / 6)

    def _missed(self, begin: float, end: float) -> float:
        difference = self._points[end].output - self._points[begin].output
        return abs(difference - float(self._integral(begin, end).sum()))


def _halves(begin: float, end: float) -> list[tuple[float, float]]:
    middle = (begin + end) / 2
    return [(begin, middle), (middle, end)]
