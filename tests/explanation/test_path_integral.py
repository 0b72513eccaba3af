from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import trapezoid

from bertblocks.explanation.path_integral import FEWEST_POINTS, PathIntegral


def integrated(
    output: Callable[[float], float],
    gains: Callable[[float], list[float]],
    *,
    allowed: float,
    most: int = 999,
) -> PathIntegral:
    """The way of functions of the share instead of a model's."""
    integral = PathIntegral()
    while True:
        for point in integral.unknown_points:
            integral.put(point, output(point), np.array(gains(point)))
        if not integral.refine(allowed, most):
            return integral


def test_cubic_functions_are_integrated_at_once():
    found = integrated(lambda x: x**4 + x, lambda x: [4 * x**3, 1.0], allowed=1e-9)
    assert found.num_points == FEWEST_POINTS
    assert found.per_token() == pytest.approx([1, 1])
    assert (found.baseline_output, found.output) == (0, 2)
    assert found.missed() == pytest.approx(0, abs=1e-12)


def test_points_are_put_where_the_output_changes():
    """A step at 0.37, so narrow that 65 even points do not see it well."""
    width = 0.004

    def output(x: float) -> float:
        return float(np.tanh((x - 0.37) / width))

    def gains(x: float) -> list[float]:
        slope = (1 - output(x) ** 2) / width
        return [0.25 * slope, 0.75 * slope]

    found = integrated(output, gains, allowed=0.01)
    assert found.per_token() == pytest.approx([0.5, 1.5], abs=0.01)
    assert found.missed() <= 0.01 and found.num_points < 65
    even = np.linspace(0, 1, 65)
    assert abs(trapezoid([gains(x)[0] for x in even], even) - 0.5) > 0.01


def test_errors_cannot_hide_behind_each_other():
    """Two steps in opposite directions: the way's sum is right from the beginning, its pieces are not."""

    def output(x: float) -> float:
        return float(np.tanh((x - 0.2) / 0.01) - np.tanh((x - 0.8) / 0.01))

    def gains(x: float) -> list[float]:
        first, second = ((1 - np.tanh((x - at) / 0.01) ** 2) / 0.01 for at in (0.2, 0.8))
        return [float(first), -float(second)]

    found = integrated(output, gains, allowed=0.01)
    assert found.per_token() == pytest.approx([2, -2], abs=0.01)


def test_it_stops_at_the_most_points():
    found = integrated(lambda x: float(x > 0.3), lambda x: [0.0], allowed=1e-6, most=20)
    assert found.num_points == 19 and found.missed() == pytest.approx(1)
    at_once = integrated(lambda x: float(x > 0.3), lambda x: [0.0], allowed=1e-6, most=FEWEST_POINTS)
    assert at_once.num_points == FEWEST_POINTS
