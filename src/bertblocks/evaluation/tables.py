"""An evaluation as plain tables, for whoever prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertblocks._words import counted
from bertblocks.blocks import TaskKind
from bertblocks.evaluation.chance import may_be_chance
from bertblocks.evaluation.evaluations import Evaluation, GroupEvaluation
from bertblocks.evaluation.metrics import higher_is_better, primary_metric
from bertblocks.evaluation.tokens import TokenStatistics

# From here on a figure is printed as 1.000.
_CEILING = 0.9995

Cell = str | int | float | None

_GROUP_METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "binary": ("accuracy", "macro_f1", "f1"),
    "multilabel": ("micro_f1", "macro_f1"),
    "regression": ("pearson", "spearman", "mae", "rmse"),
}


@dataclass(frozen=True, kw_only=True)
class SummaryTable:
    """A table of bare values.

    Attributes:
        title: What it is about.
        columns: Names of the columns.
        rows: One cell a column; shares are 0 to 1 in columns that end in "share".
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def summary_tables(evaluation: Evaluation) -> tuple[SummaryTable, ...]:
    """Everything that an evaluation says, in the order of reading; tables without rows are left out."""
    tables = (
        _overall_table(evaluation),
        _class_table(evaluation),
        _group_table(evaluation),
        _token_table(evaluation.tokens),
        _skipped_table("Rows left out", evaluation.skipped),
        _skipped_table("Rows left out of the training table", evaluation.skipped_in_training or {}),
    )
    return tuple(table for table in tables if table.rows)


# Below it four places behind the point would say little or nothing.
_LEAST_FIXED = 1e-3


def format_cell(value: Cell, column: str = "") -> str:
    """A cell as text: "-" where undefined, shares in percent, numbers that can be read at a glance."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if column.endswith("share"):
        return f"{value:.1%}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if value == 0 or _LEAST_FIXED <= abs(value) < 10 else f"{value:,.4g}"


def verdict(evaluation: Evaluation) -> str | None:
    """Say in a sentence whether the model is worth its price; None where there is no baseline."""
    if evaluation.baseline is None:
        return None
    name = primary_metric(evaluation.kind)
    model, cheap = evaluation.overall[name], evaluation.baseline.metrics[name]
    if model is None or cheap is None:
        return f"The {name} of the model or of the baseline is undefined here: the two cannot be compared."
    if evaluation.baseline_rows == "other":
        return (
            f"{name} {model:.3f} on these rows. The baseline had {cheap:.3f} on other rows, those held out "
            "in training: compare the two only roughly."
        )
    return _comparison(name, model, cheap, evaluation.overall.num_rows)


def _comparison(name: str, model: float, cheap: float, num_rows: int) -> str:
    """A sentence about two figures of the same rows; of a difference that says little, that it does."""
    both = f"{name} {model:.3f} against {cheap:.3f} of the baseline"
    if min(model, cheap) >= _CEILING:
        rows = counted(num_rows, "row that leaves", "rows that leave")
        return (
            f"Not better than the cheap baseline, on {rows} nothing to gain: {both}. Evaluate on "
            "more or harder rows, or use something simpler."
        )
    if may_be_chance(name, model, cheap, num_rows):
        both += f", on {counted(num_rows, 'row')}, where chance alone may do as much"
    if model > cheap:
        return f"Better than the cheap baseline by {model - cheap:.3f}: {both}."
    return (
        f"Not better than the cheap baseline: {both}. Train longer or on more rows, or use something simpler."
    )


def threshold_note(evaluation: Evaluation) -> str | None:
    """Say in a sentence what chosen thresholds do to the figures of the rows that they were chosen on."""
    chosen = evaluation.thresholds
    if chosen is None or chosen.rows == "other" or evaluation.overall.values == chosen.at_half.values:
        return None
    name = primary_metric(evaluation.kind)
    return (
        f"The labels' thresholds were chosen on these {counted(chosen.num_rows or 0, 'row')}, so that their "
        f"figures are somewhat too good; from 0.5 on for every label, {name} is "
        f"{format_cell(chosen.at_half[name])}."
    )


def _overall_table(evaluation: Evaluation) -> SummaryTable:
    values = evaluation.overall.values
    title = f"All {counted(evaluation.overall.num_rows, 'row')}"
    if evaluation.baseline is None:
        return SummaryTable(title=title, columns=("metric", "model"), rows=tuple(values.items()))
    cheap = evaluation.baseline.metrics.values
    if evaluation.baseline_rows == "other":
        return SummaryTable(
            title=title,
            columns=("metric", "model", "baseline (held out in training)"),
            rows=tuple((name, value, cheap.get(name)) for name, value in values.items()),
        )
    return SummaryTable(
        title=title,
        columns=("metric", "model", "baseline", "better by"),
        rows=tuple(
            (name, value, cheap.get(name), _better_by(name, value, cheap.get(name)))
            for name, value in values.items()
        ),
    )


def _skipped_table(title: str, skipped: Mapping[str, int]) -> SummaryTable:
    return SummaryTable(title=title, columns=("reason", "rows"), rows=tuple(sorted(skipped.items())))


def _better_by(name: str, model: float | None, cheap: float | None) -> float | None:
    if model is None or cheap is None:
        return None
    return model - cheap if higher_is_better(name) else cheap - model


def _class_table(evaluation: Evaluation) -> SummaryTable:
    return SummaryTable(
        title="By class",
        columns=("label", "precision", "recall", "f1", "rows"),
        rows=tuple(
            (row.label, row.precision, row.recall, row.f1, row.support)
            for row in evaluation.overall.per_class
        ),
    )


def _group_table(evaluation: Evaluation) -> SummaryTable:
    names = _GROUP_METRICS[evaluation.kind]
    token_columns = ("cut share", "unknown share") if evaluation.tokens is not None else ()
    return SummaryTable(
        title=f"By {evaluation.group_by}, the worst first",
        columns=(evaluation.group_by or "group", "rows", *names, *token_columns),
        rows=tuple(_group_row(group, names) for group in evaluation.worst_groups()),
    )


def _group_row(group: GroupEvaluation, names: tuple[str, ...]) -> tuple[Cell, ...]:
    shares = () if group.tokens is None else (group.tokens.truncated_share, group.tokens.unknown_share)
    return (group.name, group.metrics.num_rows, *(group.metrics[name] for name in names), *shares)


def _token_table(tokens: TokenStatistics | None) -> SummaryTable:
    if tokens is None:
        return SummaryTable(title="Tokens", columns=(), rows=())
    cells: dict[str, Cell] = {"rows cut": tokens.num_truncated, "cut share": tokens.truncated_share}
    if tokens.num_in_windows:
        cells["rows in windows"] = tokens.num_in_windows
    cells |= {
        "unknown share": tokens.unknown_share,
        "median tokens": tokens.median_tokens,
        "95 % have at most": tokens.p95_tokens,
        "longest": tokens.max_tokens,
    }
    return SummaryTable(title="Tokens", columns=tuple(cells), rows=(tuple(cells.values()),))
