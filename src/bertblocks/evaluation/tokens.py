"""What the tokenizer did to the rows of a table: how long they were, what was cut, what it did not know."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.errors import ShapeError


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenCounts:
    """The tokenizer's counts as columns, one entry a row.

    Attributes:
        num_tokens: Tokens of each text before it was cut, special tokens included.
        truncated: Whether each was cut.
        num_unknown: Unknown tokens among those read.
        sequence_length: Most tokens of a text or window; None where there is no limit.
        in_windows: Whether longer texts were read in windows, and none were cut.
    """

    num_tokens: NDArray[Any]
    truncated: NDArray[Any]
    num_unknown: NDArray[Any]
    sequence_length: int | None = None
    in_windows: bool = False

    def check_rows(self, num_rows: int) -> None:
        """Refuse counts of other rows.

        Raises:
            ShapeError: If a column does not have one entry a row.
        """
        shapes = {name: np.shape(getattr(self, name)) for name in ("num_tokens", "truncated", "num_unknown")}
        wrong = [f"{name} has the shape {shape}" for name, shape in shapes.items() if shape != (num_rows,)]
        if wrong:
            raise ShapeError(f"Token counts need one entry for each of {num_rows} rows: {'; '.join(wrong)}.")

    def take(self, rows: NDArray[Any]) -> TokenCounts:
        """The counts of some rows."""
        return TokenCounts(
            num_tokens=self.num_tokens[rows],
            truncated=self.truncated[rows],
            num_unknown=self.num_unknown[rows],
            sequence_length=self.sequence_length,
            in_windows=self.in_windows,
        )


@dataclass(frozen=True, kw_only=True)
class TokenStatistics:
    """Token counts of many rows in a few numbers.

    Attributes:
        num_rows: Rows counted.
        num_truncated: Rows that were cut.
        truncated_share: Their share, 0 to 1.
        num_in_windows: Rows that were longer than a window, and read in several.
        unknown_share: Unknown tokens among all tokens read, special ones included, 0 to 1.
        median_tokens: Tokens of the middle row, before it was cut.
        p95_tokens: Tokens that 95 of 100 rows do not exceed: a sequence length that hardly cuts.
        max_tokens: Tokens of the longest row, before it was cut.
    """

    num_rows: int
    num_truncated: int
    truncated_share: float
    num_in_windows: int
    unknown_share: float
    median_tokens: float
    p95_tokens: float
    max_tokens: int

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return asdict(self)


def token_statistics(counts: TokenCounts) -> TokenStatistics:
    """Sum up the token counts of at least one row."""
    limit = counts.num_tokens.max() if counts.sequence_length is None else counts.sequence_length
    read = counts.num_tokens if counts.in_windows else np.minimum(counts.num_tokens, limit)
    median, p95 = np.quantile(counts.num_tokens, (0.5, 0.95))
    return TokenStatistics(
        num_rows=len(counts.num_tokens),
        num_truncated=int(np.count_nonzero(counts.truncated)),
        truncated_share=float(np.count_nonzero(counts.truncated) / len(counts.truncated)),
        num_in_windows=int(np.count_nonzero(counts.num_tokens > limit)) if counts.in_windows else 0,
        unknown_share=float(counts.num_unknown.sum(dtype=np.int64) / max(1, read.sum(dtype=np.int64))),
        median_tokens=float(median),
        p95_tokens=float(p95),
        max_tokens=int(counts.num_tokens.max()),
    )
