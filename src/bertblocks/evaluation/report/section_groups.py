"""Quality by group: the worst and the best as a picture, all of them as a table."""

from __future__ import annotations

from collections.abc import Sequence

from bertblocks._words import counted
from bertblocks.evaluation.evaluations import Evaluation, GroupEvaluation
from bertblocks.evaluation.metrics import higher_is_better, primary_metric
from bertblocks.evaluation.report.data_tables import Column, data_table, interval_cell, numbers, texts
from bertblocks.evaluation.report.layout import Block, Section, figure, section, subheading, together
from bertblocks.evaluation.report.markup import Html, element
from bertblocks.evaluation.report.metric_words import metric_in_sentence, metric_name
from bertblocks.evaluation.report.phrases import all_of, column_name, listed, percent, quoted
from bertblocks.evaluation.report.plots_bars import Bar, Line, bars_picture
from bertblocks.evaluation.report.weak_groups import clearly_weaker
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell

# A picture of more bars is a page of its own.
_MAX_BARS = 42
_WORST_BARS = 30
_BEST_BARS = 10
_NAMED = 8


def groups_section(data: ReportData) -> Section | None:
    """Groups, the worst first; nothing where there are none."""
    evaluation = data.evaluation
    if not evaluation.groups:
        return None
    weaker = clearly_weaker(evaluation)
    parts: list[Block | Html | None] = [
        element("p", group_words(evaluation, weaker)),
        _picture(evaluation, weaker),
        together(subheading(all_of(len(evaluation.groups), "group")), _table(evaluation, sortable=True)),
    ]
    heading = f"By {column_name(evaluation.group_by)}"
    return section("groups", heading, heading, parts)


def group_words(evaluation: Evaluation, weaker: Sequence[GroupEvaluation]) -> str:
    """Which groups are clearly weaker, and how that was found out."""
    name = metric_in_sentence(primary_metric(evaluation.kind))
    if len(evaluation.groups) == 1:
        return f"All rows are of one group, {quoted(evaluation.groups[0].name)}."
    if not weaker:
        return f"In no group is the {name} below that of all rows by more than chance may do."
    names = listed([quoted(group.name) for group in weaker], _NAMED)
    are = "is" if len(weaker) == 1 else "are"
    return (
        f"Below the {name} of all rows by more than chance {are}: {names}. That the worst of "
        f"{len(evaluation.groups):,} groups look bad by chance is taken into account."
    )


def _picture(evaluation: Evaluation, weaker: Sequence[GroupEvaluation]) -> Block | None:
    name = primary_metric(evaluation.kind)
    measured = [group for group in evaluation.worst_groups() if group.metrics[name] is not None]
    if not measured:
        return None
    left_out = len(measured) - _WORST_BARS - _BEST_BARS if len(measured) > _MAX_BARS else 0
    shown = [*measured[:_WORST_BARS], *measured[-_BEST_BARS:]] if left_out else measured
    marked = {group.name for group in weaker}
    bars = [
        Bar(
            name=group.name,
            value=group.metrics[name] or 0.0,
            interval=group.interval,
            is_marked=group.name in marked,
        )
        for group in shown
    ]
    title = f"{metric_name(name)} by {column_name(evaluation.group_by)}"
    picture = bars_picture(
        "groups",
        title,
        metric_in_sentence(name),
        bars,
        lines=_lines(evaluation, name),
        gap_after=_WORST_BARS if left_out else None,
        gap_words=f"{counted(left_out, 'group')} between them" if left_out else "",
    )
    caption = "The worst groups are at the top; a thin line is the 95 % interval."
    if left_out:
        caption = (
            f"The {_WORST_BARS} worst groups and the {_BEST_BARS} best; a thin line is the 95 % interval."
        )
    if weaker:
        caption += " Orange bars are below the whole by more than chance."
    behind = data_table(title, _picture_columns(name), [_picture_row(group, name) for group in shown])
    return figure(picture, caption, behind)


def _lines(evaluation: Evaluation, name: str) -> list[Line]:
    found = []
    whole = evaluation.overall[name]
    if whole is not None:
        found.append(Line(value=whole, name="all rows"))
    if evaluation.baseline is not None and (cheap := evaluation.baseline.metrics[name]) is not None:
        where = " (held out in training)" if evaluation.baseline_rows == "other" else ""
        found.append(Line(value=cheap, name=f"the cheap baseline, all rows{where}"))
    return found


def _picture_columns(name: str) -> list[Column]:
    return [*texts("Group"), *numbers("Texts", metric_name(name), "95 % interval")]


def _picture_row(group: GroupEvaluation, name: str) -> list[Cell]:
    return [group.name, group.metrics.num_rows, group.metrics[name], interval_cell(group.interval)]


def _table(evaluation: Evaluation, *, sortable: bool) -> Html:
    primary = primary_metric(evaluation.kind)
    others = [name for name in evaluation.overall.values if name != primary]
    has_tokens = any(group.tokens is not None for group in evaluation.groups)
    columns = [
        *texts("Group"),
        *numbers("Texts", metric_name(primary), "95 % interval", "Above all rows by"),
        *numbers(*(metric_name(name) for name in others)),
    ]
    if has_tokens:
        columns += numbers("Cut", "Unknown tokens", "Median tokens")
    rows = []
    for group in evaluation.worst_groups():
        row = _picture_row(group, primary)
        row.append(_above(evaluation, group, primary))
        row += [group.metrics[name] for name in others]
        if has_tokens:
            row += _token_cells(group)
        rows.append(row)
    return data_table("The worst first", columns, rows, sortable=sortable)


def _above(evaluation: Evaluation, group: GroupEvaluation, name: str) -> str | None:
    value, whole = group.metrics[name], evaluation.overall[name]
    if value is None or whole is None:
        return None
    difference = value - whole if higher_is_better(name) else whole - value
    return f"{difference:+.3f}".replace("-", "−")


def _token_cells(group: GroupEvaluation) -> list[Cell]:
    if group.tokens is None:
        return [None, None, None]
    return [
        percent(group.tokens.truncated_share),
        percent(group.tokens.unknown_share),
        f"{group.tokens.median_tokens:,.0f}",
    ]
