"""Every label on its own: how well it is found, its curves, and whether its probabilities can be believed."""

from __future__ import annotations

from collections.abc import Sequence

from bertblocks.evaluation.metrics import ClassMetrics
from bertblocks.evaluation.report.curves import (
    SAMPLE_ROWS,
    THRESHOLDS,
    LabelCurves,
    label_curves,
    sample_rows,
)
from bertblocks.evaluation.report.data_tables import data_table, numbers, texts
from bertblocks.evaluation.report.findings import Findings
from bertblocks.evaluation.report.layout import (
    Block,
    Section,
    figure,
    section,
    side_by_side,
    subheading,
    together,
)
from bertblocks.evaluation.report.markup import Html, element, user_name
from bertblocks.evaluation.report.phrases import all_of, percent
from bertblocks.evaluation.report.plots_curves import MAX_CURVES, curves_picture
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell, format_cell

# A table of more labels would make the page too large.
_MAX_LABELS = 2_000
# Curves of a label that fewer texts have are steps of chance.
_MIN_CURVE_ROWS = 10


def labels_section(data: ReportData, findings: Findings) -> Section | None:
    """The table of all labels and the curves of some; nothing for numbers."""
    if findings.tallies is None:
        return None
    having = findings.tallies.having
    # The most frequent ones, in the task's order.
    kept = sorted(sorted(range(len(having)), key=lambda label: -having[label])[:_MAX_LABELS])
    sample = sample_rows(data.rows)
    wanted = [1] if data.task.kind == "binary" else kept
    curves = {curve.label: curve for curve in label_curves(data.task, sample, wanted)}
    parts = [
        _label_table(data, findings, kept, curves),
        _ranking_note(data, sample_is_part=sample.is_part, num_rows=len(sample.targets)),
        _curves(data, findings, curves),
    ]
    return section("labels", "Labels", "Label by label", parts)


def _label_table(
    data: ReportData, findings: Findings, kept: Sequence[int], curves: dict[int, LabelCurves]
) -> Html:
    labels = data.task.labels
    columns = [*texts("Label"), *numbers("Texts", "Given", "Precision", "Recall", "F1")]
    cheap = _baseline_f1(data)
    if cheap is not None:
        columns += numbers("Baseline's F1")
    if data.task.kind != "binary":
        columns += numbers("Average precision", "ROC AUC")
    if data.task.kind == "multilabel":
        columns += numbers("Threshold")
    rows = []
    for place in kept:
        row = _label_row(data.evaluation.overall.per_class[place], findings, place)
        if cheap is not None:
            row.append(cheap.get(labels[place]))
        if data.task.kind != "binary":
            curve = curves.get(place)
            row += [curve.average_precision, curve.roc_auc] if curve is not None else [None, None]
        if data.task.kind == "multilabel":
            row.append(data.task.thresholds[place] if data.task.thresholds else 0.5)
        rows.append(row)
    caption = all_of(len(labels), "label")
    if len(kept) < len(labels):
        caption = f"The {len(kept):,} most frequent of {len(labels):,} labels; metrics.json has all"
    return data_table(caption, columns, rows, sortable=True)


def _label_row(row: ClassMetrics, findings: Findings, place: int) -> list[Cell]:
    given = 0 if findings.tallies is None else int(findings.tallies.given[place])
    return [row.label, row.support, given, row.precision, row.recall, row.f1]


def _baseline_f1(data: ReportData) -> dict[str, float | None] | None:
    baseline = data.evaluation.baseline
    if baseline is None or not baseline.metrics.per_class:
        return None
    return {row.label: row.f1 for row in baseline.metrics.per_class}


def _ranking_note(data: ReportData, *, sample_is_part: bool, num_rows: int) -> Html:
    words = (
        "Texts: how many have the label. Given: how many were given it. Precision: the share of those given "
        "it that have it. Recall: the share of those that have it that were given it. F1: both in one number."
    )
    if data.task.kind != "binary":
        words += (
            " Average precision and ROC AUC judge the probabilities, whatever the threshold: 1 at best; by "
            "chance, ROC AUC is 0.5 and average precision the share of texts with the label."
        )
    if sample_is_part:
        part = f"a random {num_rows:,} of {len(data.rows.targets):,} rows"
        words += (
            f" These and the curves are of {part}."
            if data.task.kind != "binary"
            else f" The curves are of {part}."
        )
    return element("p", words, class_="muted")


def chosen_labels(data: ReportData, curves: dict[int, LabelCurves]) -> list[int]:
    """The labels whose curves are drawn: the weakest that enough texts have, then the most frequent."""
    per_class = data.evaluation.overall.per_class
    known = [label for label in curves if curves[label].num_having >= _MIN_CURVE_ROWS]
    weakest = sorted(known, key=lambda label: (per_class[label].f1 or 0.0, label))[:MAX_CURVES]
    rest = sorted(set(curves) - set(weakest), key=lambda label: (-per_class[label].support, label))
    return sorted((weakest + rest)[:MAX_CURVES])


def _curves(data: ReportData, findings: Findings, curves: dict[int, LabelCurves]) -> Block | None:
    drawn = [curves[label] for label in chosen_labels(data, curves)]
    if not drawn:
        return None
    labels = data.task.labels
    roc_marks = [_roc_mark(findings, curve.label) for curve in drawn]
    pr_marks = [_precision_mark(data.evaluation.overall.per_class[curve.label]) for curve in drawn]
    heading = (
        subheading("Other thresholds")
        if data.task.kind == "binary"
        else subheading("Curves of single labels")
    )
    table = _threshold_table(labels, drawn)
    dot = _dot_words(data)
    both = side_by_side(
        figure(
            curves_picture("roc", drawn, labels, roc_marks),
            f"How many texts with the label are found, if so many false alarms are accepted. {dot}",
            table,
        ),
        figure(
            curves_picture("precision_recall", drawn, labels, pr_marks),
            f"How many of those given the label have it, if so many are to be found. {dot}",
            table,
        ),
    )
    return together(heading, _which_curves(data, drawn, len(curves)), both)


def _which_curves(data: ReportData, drawn: Sequence[LabelCurves], num_curves: int) -> Html:
    if data.task.kind == "binary":
        name = user_name(data.task.labels[1])
        return element("p", "Curves and thresholds of the label ", element("strong", name), ".")
    words = "Each label against all others."
    if len(drawn) < num_curves:
        words += (
            f" Drawn are the {len(drawn)} weakest of {num_curves:,}; the table above has the figures of all."
        )
    return element("p", words)


def _dot_words(data: ReportData) -> str:
    if data.task.kind == "multilabel" and data.task.thresholds:
        return "The dot is where the model's answers are, with its threshold for the label."
    if data.task.kind == "classification":
        return "The dot is where the model's answers are: it says the most probable label."
    return "The dot is where the model's answers are, with the threshold 0.5."


def _roc_mark(findings: Findings, label: int) -> tuple[float, float] | None:
    if findings.tallies is None:
        return None
    tallies = findings.tallies
    having, given, hits = (int(column[label]) for column in (tallies.having, tallies.given, tallies.hits))
    num_rows = findings.num_rows
    if not 0 < having < num_rows:
        return None
    return (given - hits) / (num_rows - having), hits / having


def _precision_mark(row: ClassMetrics) -> tuple[float, float] | None:
    return None if row.recall is None or row.precision is None else (row.recall, row.precision)


def _threshold_table(labels: Sequence[str], curves: Sequence[LabelCurves]) -> Html:
    rows: list[list[Cell]] = []
    for curve in curves:
        for entry in curve.thresholds:
            cells: list[Cell] = [
                percent(entry.recall),
                "-" if entry.precision is None else percent(entry.precision),
                percent(entry.false_alarms),
            ]
            rows.append([labels[curve.label], format_cell(entry.threshold), *cells])
    columns = [*texts("Label"), *numbers("Threshold", "Found (recall)", "Right (precision)", "False alarms")]
    caption = f"What {len(THRESHOLDS)} thresholds would do"
    if curves and curves[0].num_rows >= SAMPLE_ROWS:
        caption += f", on {curves[0].num_rows:,} rows"
    return data_table(caption, columns, rows)
