"""Which groups are weaker than the whole by more than chance."""

from __future__ import annotations

from scipy import stats

from bertblocks.evaluation.chance import may_be_chance
from bertblocks.evaluation.evaluations import Evaluation, GroupEvaluation
from bertblocks.evaluation.metrics import primary_metric

# Of all groups together, how often one is called weaker that is not.
_ERROR_RATE = 0.05
# Of fewer rows nothing is said.
_MIN_ROWS = 5


def clearly_weaker(evaluation: Evaluation) -> tuple[GroupEvaluation, ...]:
    """The groups whose primary metric is below that of all rows by more than chance, the worst first.

    The worst of many groups looks bad by chance alone, so each must pass a test with an error rate divided by
    their number (Bonferroni). Accuracy is tested as a share of right rows, by the exact binomial test; other
    metrics by their interval, widened to that error rate as if normal, and by may_be_chance.
    """
    if len(evaluation.groups) < 2:
        return ()
    return tuple(group for group in evaluation.worst_groups() if _is_clearly_weaker(group, evaluation))


def _is_clearly_weaker(group: GroupEvaluation, evaluation: Evaluation) -> bool:
    name = primary_metric(evaluation.kind)
    value, whole = group.metrics[name], evaluation.overall[name]
    num_rows = group.metrics.num_rows
    if value is None or whole is None or value >= whole or num_rows < _MIN_ROWS:
        return False
    rate = _ERROR_RATE / len(evaluation.groups)
    if name == "accuracy":
        right = round(value * num_rows)
        return bool(stats.binomtest(right, num_rows, whole, alternative="less").pvalue < rate)
    if group.interval is None or may_be_chance(name, value, whole, num_rows):
        return False
    widening = float(stats.norm.ppf(1 - rate / 2) / stats.norm.ppf(1 - _ERROR_RATE / 2))
    return value + widening * (group.interval.high - value) < whole
