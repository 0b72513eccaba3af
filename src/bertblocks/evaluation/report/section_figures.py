"""The first screen, and the table of all figures."""

from __future__ import annotations

from bertblocks._words import counted
from bertblocks.evaluation.evaluations import Evaluation
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.metrics import higher_is_better, primary_metric
from bertblocks.evaluation.report.cautions import cautions
from bertblocks.evaluation.report.data_tables import data_table, interval_cell, numbers, texts
from bertblocks.evaluation.report.findings import Findings
from bertblocks.evaluation.report.layout import Section, note, section
from bertblocks.evaluation.report.markup import Html, element, joined, paragraphs, user_name
from bertblocks.evaluation.report.metric_words import metric_in_sentence, metric_meaning, metric_name
from bertblocks.evaluation.report.phrases import column_name, percent, significant
from bertblocks.evaluation.report.words import answer
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell, format_cell, verdict


def first_screen(data: ReportData, findings: Findings) -> Html:
    """The answer in words, with what must be known before trusting it."""
    first, *others = answer(data, findings)
    warnings = cautions(data, findings)
    return joined(
        element("h1", user_name(data.title, 300)),
        element("p", first, class_="answer"),
        paragraphs(others, class_="support"),
        _verdict_note(data.evaluation),
        _cards(data.evaluation),
        _warnings(warnings) if warnings else None,
    )


def _verdict_note(evaluation: Evaluation) -> Html | None:
    sentence = verdict(evaluation)
    if sentence is None:
        return note(
            "No baseline was measured beside the model: whether it is worth its price is not known here."
        )
    name = primary_metric(evaluation.kind)
    words = sentence.replace(name, metric_in_sentence(name))
    return note(words[0].upper() + words[1:], is_warning=sentence.startswith("Not better"))


def _warnings(sentences: tuple[str, ...]) -> Html:
    items = [element("li", sentence) for sentence in sentences]
    heading = element("p", element("strong", "Before you trust these figures"))
    return element("div", heading, element("ul", items), class_="note warning")


def _cards(evaluation: Evaluation) -> Html:
    name = primary_metric(evaluation.kind)
    found = [
        _card(metric_name(name), format_cell(evaluation.overall[name]), _ends(evaluation.intervals.get(name)))
    ]
    if evaluation.baseline is not None:
        where = (
            "the cheap baseline, on other rows"
            if evaluation.baseline_rows == "other"
            else "the cheap baseline"
        )
        found.append(_card("Without BERT", format_cell(evaluation.baseline.metrics[name]), where))
    found.append(_card("Texts", f"{evaluation.overall.num_rows:,}", _groups(evaluation)))
    if evaluation.calibration is not None:
        error = percent(evaluation.calibration.error_after)
        found.append(_card("Calibration error", error, "stated probability against what came true"))
    return element("dl", found, class_="cards")


def _card(name: str, value: str, remark: str) -> Html:
    return element(
        "div",
        element("dt", name),
        element("dd", element("strong", value)),
        element("dd", remark, class_="muted") if remark else None,
        class_="card",
    )


def _groups(evaluation: Evaluation) -> str:
    if not evaluation.groups:
        return ""
    return f"in {counted(len(evaluation.groups), 'group')} by {column_name(evaluation.group_by)}"


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"95 % interval {interval_cell(interval)}"


def figures_section(data: ReportData) -> Section | None:
    """All metrics, with intervals, beside the baseline's."""
    evaluation = data.evaluation
    baseline = evaluation.baseline
    columns = [*texts("Metric"), *numbers("Model")]
    if evaluation.intervals:
        columns += numbers("95 % interval")
    if baseline is not None and evaluation.baseline_rows == "same":
        columns += numbers("Baseline", "Better by")
    elif baseline is not None:
        columns += numbers("Baseline (held out in training)")
    if evaluation.thresholds is not None:
        columns += numbers("At 0.5 for every label")
    rows = [_metric_row(evaluation, name) for name in evaluation.overall.values]
    parts = [
        data_table(f"All metrics of {counted(evaluation.overall.num_rows, 'row')}", columns, rows),
        *_explanations(evaluation),
    ]
    return section("figures", "Figures", "The figures", parts)


def _metric_row(evaluation: Evaluation, name: str) -> list[Cell]:
    value = evaluation.overall[name]
    cells: list[Cell] = [_metric_cell(name), value]
    if evaluation.intervals:
        cells.append(interval_cell(evaluation.intervals.get(name)))
    if evaluation.baseline is not None:
        cheap = evaluation.baseline.metrics.values.get(name)
        cells.append(cheap)
        if evaluation.baseline_rows == "same":
            cells.append(_better_by(name, value, cheap))
    if evaluation.thresholds is not None:
        cells.append(evaluation.thresholds.at_half.values.get(name))
    return cells


def _metric_cell(name: str) -> Html:
    meaning = metric_meaning(name)
    return joined(metric_name(name), element("span", meaning, class_="meaning") if meaning else None)


def _better_by(name: str, model: float | None, cheap: float | None) -> str | None:
    if model is None or cheap is None:
        return None
    difference = model - cheap if higher_is_better(name) else cheap - model
    return ("+" if difference > 0 else "") + format_cell(difference).replace("-", "−")


def _explanations(evaluation: Evaluation) -> list[Html]:
    sentences = []
    if evaluation.intervals:
        sentences.append(
            "The 95 % interval says how far a figure may be off because there are no more rows: in 95 of 100 "
            "such evaluations it holds the figure that any number of such rows would have."
        )
    if evaluation.baseline is not None:
        baseline = evaluation.baseline
        sentences.append(f"The baseline is {baseline.description}, in {significant(baseline.seconds)} s.")
    return [element("p", sentence, class_="muted") for sentence in sentences]
