"""The rows of an evaluation as columns of numbers, and the groups that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.evaluation.tokens import TokenCounts

NO_GROUP = "(none)"


def group_name(value: str | None) -> str:
    """What a group is called whose rows hold this in the group column."""
    return value or NO_GROUP


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluatedRows:
    """Every row that was evaluated, as columns of numbers.

    Attributes:
        targets: The truth, as compute_metrics takes it: positions of labels (rows,), 0 or 1 (rows, labels),
            or numbers (rows,).
        scores: Calibrated probabilities, float32 (rows, labels), or numbers, float64 (rows,). May lie in a
            file (np.memmap): take columns or slices, not all of it at once.
        tokens: What the tokenizer counted; None where nobody did.
        group_codes: For every row the place of its group in group_names, int32; None without groups.
        group_names: The groups, sorted by name.
    """

    targets: NDArray[Any]
    scores: NDArray[Any]
    tokens: TokenCounts | None = None
    group_codes: NDArray[np.int32] | None = None
    group_names: tuple[str, ...] = ()

    def groups(self) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """Each group with the places of its rows: one sort, however many groups there are."""
        if self.group_codes is None:
            return
        order = np.argsort(self.group_codes, kind="stable")
        ends = np.bincount(self.group_codes, minlength=len(self.group_names)).cumsum()
        yield from zip(self.group_names, np.split(order, ends[:-1]), strict=True)


def group_codes(groups: Sequence[str | None]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Group names, sorted, and for every row the place of its own among them."""
    names, codes = np.unique([group_name(group) for group in groups], return_inverse=True)
    return tuple(names.tolist()), codes.astype(np.int32)
