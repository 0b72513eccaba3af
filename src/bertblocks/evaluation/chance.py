"""Whether two figures on the same rows differ by more than chance may do."""

from __future__ import annotations

import math

_STANDARD_ERRORS = 2.0


def may_be_chance(metric: str, first: float, second: float, num_rows: int) -> bool:
    """Whether a difference lies within two standard errors, as about 95 of 100 by chance alone do.

    A correlation is taken by Fisher's z, whose standard error is 1 / sqrt(rows - 3); accuracy, and F1 as if
    it were one, as a share of right rows, by Agresti and Caffo's rule for few rows (one right and one wrong
    row more). Both reckon as if the two figures came from different rows. On the same rows, where mostly the
    same answers are wrong, chance does less: what is not called chance here would not be by a paired test.

    Args:
        metric: Name of a metric for which higher is better, 1 at most.
        first: One figure.
        second: The other.
        num_rows: Rows that both were computed from.
    """
    if metric in ("pearson", "spearman"):
        return _correlations_may_be(first, second, num_rows)
    shares = [(figure * num_rows + 1) / (num_rows + 2) for figure in (first, second)]
    error = math.sqrt(sum(share * (1 - share) / (num_rows + 2) for share in shares))
    return abs(shares[0] - shares[1]) < _STANDARD_ERRORS * error


def _correlations_may_be(first: float, second: float, num_rows: int) -> bool:
    if num_rows <= 3:
        return True
    # A correlation of exactly 1 has no finite z.
    z_first, z_second = (math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r))) for r in (first, second))
    return abs(z_first - z_second) < _STANDARD_ERRORS * math.sqrt(2 / (num_rows - 3))
