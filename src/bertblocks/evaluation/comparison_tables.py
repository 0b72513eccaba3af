"""A comparison as sentences and plain tables, for whoever prints them."""

from __future__ import annotations

from bertblocks._words import counted
from bertblocks.evaluation.comparison import Comparison, GroupComparison, ModelComparison
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.paired import Difference, PairedTest
from bertblocks.evaluation.tables import Cell, SummaryTable, format_cell

# By convention: what chance does in fewer than 1 of 20 cases is not put down to it.
_RARE = 0.05
_RAREST = 1e-6
_POINTS = 100


def comparison_sentences(comparison: Comparison) -> list[str]:
    """Say of each model what it differs from the first by, and in how many groups, and if that is chance."""
    sentences = []
    for other in comparison.others:
        chance = _chance_in_words(other.test, len(comparison.others))
        sentences.append(f"{_difference_in_words(comparison, other)} {chance}")
        if other.groups:
            sentences.append(_groups_in_words(comparison, other))
    return sentences


def _groups_in_words(comparison: Comparison, other: ModelComparison) -> str:
    num_tests = sum(len(model.groups) for model in comparison.others)
    sign = -1 if comparison.compared_metric == "mae" else 1
    told_apart = [
        sign * group.difference.value
        for group in other.groups
        if group.difference.value is not None and group.test.p_holm < _RARE
    ]
    better, worse = sum(value > 0 for value in told_apart), sum(value < 0 for value in told_apart)
    rest = len(other.groups) - better - worse
    return (
        f"By {comparison.group_by}: {other.name} is better in {counted(better, 'group')} and worse in "
        f"{worse:,}; in the other {rest:,} the difference may be chance (p corrected by Holm for "
        f"{counted(num_tests, 'test')}, at least {_RARE})."
    )


def _difference_in_words(comparison: Comparison, other: ModelComparison) -> str:
    first, name, metric = comparison.first, other.name, comparison.compared_metric
    difference = other.differences[metric]
    if difference.value is None:
        return f"{metric} is undefined here: {first} and {name} cannot be compared by it."
    more = difference.value > 0
    if metric == "accuracy":
        if difference.value == 0:
            return f"{name} is right for as many rows as {first}{_range(difference, 1, _POINTS)}."
        size = abs(difference.value) * _POINTS
        return (
            f"{name} is right for {size:.1f} of 100 rows {'more' if more else 'fewer'} than "
            f"{first}{_range(difference, 1 if more else -1, _POINTS)}."
        )
    size_in_words = format_cell(abs(difference.value))
    if metric == "mae":
        direction = "more" if more else "less"
        value = format_cell(other.metrics[metric])
        return (
            f"{name} is off by {value} on average, {size_in_words} {direction} than "
            f"{first}{_range(difference, 1 if more else -1)}."
        )
    direction = "above" if more else "below"
    return (
        f"The micro F1 of {name} is {format_cell(other.metrics[metric])}, {size_in_words} {direction} "
        f"that of {first}{_range(difference, 1 if more or not difference.value else -1)}."
    )


def _range(difference: Difference, sign: int, times: int = 1) -> str:
    """The interval in brackets, in the direction that the sentence speaks of."""
    if difference.interval is None:
        return ""
    ends = sorted(sign * times * end for end in (difference.interval.low, difference.interval.high))
    # 0 is added so that nothing is -0.0.
    low, high = (f"{round(end, 1) + 0:.1f}" if times == _POINTS else format_cell(end + 0) for end in ends)
    return f" (95 % interval {low} to {high})"


def _chance_in_words(test: PairedTest, num_tests: int) -> str:
    corrected = f", corrected by Holm for {num_tests} comparisons" if num_tests > 1 else ""
    p_value, source = test.p_holm, f"{test.name}{corrected}"
    if test.num_better + test.num_worse == 0:
        return "No row is answered better by one of them."
    if p_value >= _RARE:
        return (
            f"That may be chance: of models that are equally good, {round(p_value * 100)} of 100 pairs would "
            f"differ as much ({source})."
        )
    if p_value < _RAREST:
        cases = f"fewer than 1 of {1 / _RAREST:,.0f} pairs"
    else:
        cases = f"1 of {float(f'{1 / p_value:.2g}'):,.0f} pairs"
    return (
        f"Chance hardly does that: of models that are equally good, {cases} would differ as much ({source})."
    )


def comparison_tables(comparison: Comparison) -> tuple[SummaryTable, ...]:
    """Everything that a comparison says, in the order of reading; tables without rows are left out."""
    tables = [
        table
        for other in comparison.others
        for table in (_metric_table(comparison, other), _group_table(comparison, other))
    ]
    skipped = tuple(sorted(comparison.skipped.items()))
    tables.append(SummaryTable(title="Rows left out", columns=("reason", "rows"), rows=skipped))
    return tuple(table for table in tables if table.rows)


def _metric_table(comparison: Comparison, other: ModelComparison) -> SummaryTable:
    rows = counted(comparison.metrics.num_rows, "row")
    return SummaryTable(
        title=f"{other.name} against {comparison.first}, {rows}",
        columns=("metric", comparison.first, other.name, "difference", "from", "to"),
        rows=tuple(
            (name, comparison.metrics[name], other.metrics[name], *_cells(difference))
            for name, difference in other.differences.items()
        ),
    )


def _group_table(comparison: Comparison, other: ModelComparison) -> SummaryTable:
    higher_is_worse = comparison.compared_metric == "mae"

    def rank(group: GroupComparison) -> tuple[bool, float]:
        value = group.difference.value
        return value is None, 0.0 if value is None else -value if higher_is_worse else value

    return SummaryTable(
        title=(
            f"{other.name} against {comparison.first} by {comparison.group_by}, in "
            f"{comparison.compared_metric}, its worst first"
        ),
        columns=(
            *(comparison.group_by or "group", "rows", comparison.first, other.name),
            *("difference", "from", "to", "p", "p by Holm"),
        ),
        rows=tuple(
            (
                *(group.name, group.num_rows, group.first, group.other, *_cells(group.difference)),
                *(group.test.p_value, group.test.p_holm),
            )
            for group in sorted(other.groups, key=rank)
        ),
    )


def _cells(difference: Difference) -> tuple[Cell, Cell, Cell]:
    interval: Interval | None = difference.interval
    if interval is None:
        return difference.value, None, None
    return difference.value, interval.low, interval.high
