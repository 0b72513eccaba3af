"""How far stated probabilities are from observed shares, before and after calibration."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Rows whose probability is about the same.

    Attributes:
        num_rows: Rows, or pairs of row and label where there are several labels.
        confidence: Their mean stated probability.
        accuracy: The share of them that were right, or have the label.
    """

    num_rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class CalibrationFigures:
    """Expected calibration error and its curve, before and after calibration.

    Attributes:
        error_before: Expected calibration error of the uncalibrated probabilities, 0 to 1.
        error_after: The same of those that the model gives.
        before: The curve of the uncalibrated ones, empty bins left out.
        after: The curve of the given ones.
        rows: "same" where the temperature was fitted on these very rows, "other" otherwise.
    """

    error_before: float
    error_after: float
    before: tuple[ReliabilityBin, ...]
    after: tuple[ReliabilityBin, ...]
    rows: str

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        curves = {name: list(map(asdict, getattr(self, name))) for name in ("before", "after")}
        return {**asdict(self), **curves}
