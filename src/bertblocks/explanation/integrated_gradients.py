"""Integrated gradients: what each token adds on the way from a baseline to the text.

Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks". The gradient is integrated along
the straight way between the word vectors of the baseline and those of the text. What all tokens add together
is then the difference of the two outputs (completeness); what the sum lacks is an error of the integration,
and is told for every text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertblocks.explanation.path_gradients import PathGradients
from bertblocks.explanation.path_integral import PathIntegral


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenAttributions:
    """What the tokens of one text add.

    Attributes:
        per_token: One number a token, in the unit of the outputs; 0 for special tokens. float64.
        output: Of the text.
        baseline_output: Of the baseline.
        num_points: Points of the way at which a gradient was taken.
        is_complete: Whether the integration came near enough to what it should give, on every piece of the
            way.
    """

    per_token: NDArray[np.float64]
    output: float
    baseline_output: float
    num_points: int
    is_complete: bool

    @property
    def residue(self) -> float:
        """The part of the difference of the outputs that the sum over the tokens lacks."""
        return self.output - self.baseline_output - float(self.per_token.sum())


def integrate(
    gradients: PathGradients, num_texts: int, *, tolerance: float, least: float, max_points: int
) -> list[TokenAttributions]:
    """Integrate along the way of every text.

    Args:
        gradients: Gives outputs and gradients at points of the ways.
        num_texts: How many there are.
        tolerance: Share of the difference of the outputs that the pieces of the way may miss together.
        least: A difference below it counts as so much: of two outputs that are nearly equal, a share means
            nothing.
        max_points: At most so many gradients a text.
    """
    integrals = [PathIntegral() for _ in range(num_texts)]
    unfinished = list(range(num_texts))
    while unfinished:
        points = [(row, share) for row in unfinished for share in integrals[row].unknown_points]
        rows, shares = map(np.array, zip(*points, strict=True))
        for row, share, output, gains in zip(rows, shares, *gradients.at(rows, shares), strict=True):
            integrals[row].put(float(share), float(output), gains)
        unfinished = [
            row
            for row in unfinished
            if integrals[row].refine(_allowed(integrals[row], tolerance, least), max_points)
        ]
    return [
        TokenAttributions(
            per_token=integral.per_token(),
            output=integral.output,
            baseline_output=integral.baseline_output,
            num_points=integral.num_points,
            is_complete=integral.missed() <= _allowed(integral, tolerance, least),
        )
        for integral in integrals
    ]


def gradient_only(gradients: PathGradients, num_texts: int) -> list[TokenAttributions]:
    """The way's end alone, as if the gradient were the same all along: two points in place of many."""
    rows = np.repeat(np.arange(num_texts), 2)
    outputs, found = gradients.at(rows, np.tile([0.0, 1.0], num_texts))
    return [
        TokenAttributions(
            per_token=found[2 * index + 1],
            output=float(outputs[2 * index + 1]),
            baseline_output=float(outputs[2 * index]),
            num_points=1,
            is_complete=False,
        )
        for index in range(num_texts)
    ]


def _allowed(integral: PathIntegral, tolerance: float, least: float) -> float:
    return tolerance * max(abs(integral.output - integral.baseline_output), least)
