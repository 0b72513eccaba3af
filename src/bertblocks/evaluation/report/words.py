"""The answer in words: sentences that say what the numbers carry, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bertblocks._words import counted
from bertblocks.evaluation.evaluations import Evaluation, GroupEvaluation
from bertblocks.evaluation.metrics import Metrics, primary_metric
from bertblocks.evaluation.report.answers import Confusion, LabelTallies
from bertblocks.evaluation.report.findings import Findings
from bertblocks.evaluation.report.metric_words import metric_in_sentence
from bertblocks.evaluation.report.phrases import (
    column_name,
    number_interval,
    percent,
    quoted,
    significant,
    texts_interval,
    texts_of,
)
from bertblocks.evaluation.report.weak_groups import clearly_weaker
from bertblocks.evaluation.report_data import ReportData

# Two labels that were taken for each other less often are not worth a sentence.
_MIN_CONFUSED_ROWS = 5
# Of a label that fewer texts have, the figures say little.
_MIN_LABEL_ROWS = 10
_FEW_ROWS = 100


def answer(data: ReportData, findings: Findings) -> tuple[str, ...]:
    """What the evaluation says, in sentences; the first one is the most important."""
    found: list[str | None] = []
    evaluation = data.evaluation
    if data.task.kind == "regression":
        found += [off_by(data), *correlation(evaluation)]
    elif data.task.kind == "multilabel":
        found += [labels_right(evaluation), all_labels_right(evaluation)]
    else:
        found.append(right_for(evaluation))
    found += [weakest_group(evaluation), all_groups_alike(evaluation)]
    if data.task.kind == "multilabel":
        found.append(weakest_label(evaluation.overall))
    if data.task.kind == "classification":
        found.append(most_confused(data.task.labels, findings.confusions))
    if data.task.kind == "binary" and findings.tallies is not None:
        found += yes_and_no(data.task.labels[1], findings.tallies)
    return tuple(sentence for sentence in found if sentence)


def right_for(evaluation: Evaluation) -> str:
    """For how many texts the answer is right: "Right for 87 of 100 texts (95 % interval 84 to 90)."."""
    share = evaluation.overall["accuracy"] or 0.0
    num_rows, interval = evaluation.overall.num_rows, evaluation.intervals.get("accuracy")
    return f"Right for {texts_of(share, num_rows, interval)}{texts_interval(share, num_rows, interval)}."


def labels_right(evaluation: Evaluation) -> str:
    """What of the given labels is right, and what of the true ones is found."""
    precision, recall = evaluation.overall["micro_precision"], evaluation.overall["micro_recall"]
    f1, interval = evaluation.overall["micro_f1"], evaluation.intervals.get("micro_f1")
    if precision is None and recall is None:
        return "No text has a label, and none was given one."
    if precision is None:
        return "The model gives no text a label."
    if recall is None:
        return "No text has a label, so all labels that were given are wrong."
    behind = (
        "" if f1 is None else f" Both in one number, micro F1: {significant(f1)}{number_interval(interval)}."
    )
    return (
        f"Of the labels that it gives, {percent(precision)} are right; it finds {percent(recall)} of the "
        f"true ones.{behind}"
    )


def all_labels_right(evaluation: Evaluation) -> str:
    """For how many texts every label is right."""
    share = evaluation.overall["subset_accuracy"] or 0.0
    num_rows, interval = evaluation.overall.num_rows, evaluation.intervals.get("subset_accuracy")
    told = texts_of(share, num_rows, interval) + texts_interval(share, num_rows, interval)
    return f"Every label is right for {told}."


def weakest_label(metrics: Metrics) -> str | None:
    """The label that is found worst, among those that enough texts have."""
    known = [row for row in metrics.per_class if row.support >= _MIN_LABEL_ROWS and row.f1 is not None]
    if len(known) < 2:
        return None
    worst = min(known, key=lambda row: row.f1 or 0.0)
    if all(row.f1 == worst.f1 for row in known):
        return None
    return (
        f"Weakest at the label {quoted(worst.label)}: F1 {significant(worst.f1 or 0.0)} on "
        f"{counted(worst.support, 'text that has', 'texts that have')} it."
    )


def off_by(data: ReportData) -> str:
    """How far off the answers are, and on what scale: "Off by 0.42 on average, …"."""
    evaluation = data.evaluation
    error = evaluation.overall["mae"] or 0.0
    low, high = float(np.min(data.rows.targets)), float(np.max(data.rows.targets))
    interval = number_interval(evaluation.intervals.get("mae"))
    told = f"Off by {significant(error)} on average{interval}"
    if low == high:
        return f"{told}, where the truth is always {significant(low)}."
    return f"{told}, where the truth goes from {significant(low)} to {significant(high)}."


def correlation(evaluation: Evaluation) -> Iterator[str]:
    """How answers and truth belong together, and whether they are worth more than the mean."""
    value, r2 = evaluation.overall["pearson"], evaluation.overall["r2"]
    if value is None:
        yield "The correlation with the truth is undefined here: all true values, or all answers, are equal."
    else:
        interval = number_interval(evaluation.intervals.get("pearson"))
        yield f"The correlation with the truth is {significant(value)}{interval}."
    if r2 is not None and r2 <= 0:
        yield "No nearer to the truth than always answering with its mean."


def weakest_group(evaluation: Evaluation) -> str | None:
    """The worst of the groups that are weaker than the whole by more than chance."""
    weaker = clearly_weaker(evaluation)
    if not weaker:
        return None
    where = f"{column_name(evaluation.group_by)} {quoted(weaker[0].name)}"
    sentence = f"Weakest in {where}: {_group_figure(evaluation, weaker[0])}."
    if len(weaker) > 1:
        others = counted(len(weaker) - 1, "other group is", "other groups are")
        sentence += f" {others} clearly weaker than the whole, too."
    return sentence


def all_groups_alike(evaluation: Evaluation) -> str | None:
    """That no group is clearly weaker, where so many rows tell none apart."""
    if len(evaluation.groups) < 2 or clearly_weaker(evaluation):
        return None
    lowest = evaluation.worst_groups()[0]
    if lowest.metrics[primary_metric(evaluation.kind)] is None:
        return None
    why = "too few rows to tell" if lowest.metrics.num_rows < _FEW_ROWS else "which may be chance"
    return (
        f"No {column_name(evaluation.group_by)} is clearly weaker than the whole: the lowest is "
        f"{quoted(lowest.name)}, {_group_figure(evaluation, lowest)}, {why}."
    )


def _group_figure(evaluation: Evaluation, group: GroupEvaluation) -> str:
    name = primary_metric(evaluation.kind)
    value, num_rows = group.metrics[name] or 0.0, group.metrics.num_rows
    if name == "accuracy":
        return f"right for {texts_of(value, num_rows)}"
    return f"{metric_in_sentence(name)} {significant(value)} on {counted(num_rows, 'text')}"


def most_confused(labels: tuple[str, ...], confusions: tuple[Confusion, ...]) -> str | None:
    """The two labels that are taken for each other most often, if there are such two."""
    pairs: dict[tuple[int, int], int] = {}
    for entry in confusions:
        pair = (min(entry.truth, entry.answer), max(entry.truth, entry.answer))
        pairs[pair] = pairs.get(pair, 0) + entry.num_rows
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    if not ranked or ranked[0][1] < _MIN_CONFUSED_ROWS:
        return None
    if len(ranked) > 1 and ranked[1][1] == ranked[0][1]:
        return None
    (first, second), num_rows = ranked[0]
    mistakes = sum(pairs.values())
    return (
        f"Most often confuses {quoted(labels[first])} with {quoted(labels[second])}: {num_rows:,} of "
        f"{counted(mistakes, 'mistake')}."
    )


def yes_and_no(label: str, tallies: LabelTallies) -> Iterator[str]:
    """How many texts with the second label are found, and how many of those it says it of have it."""
    having, given, hits = (int(column[1]) for column in (tallies.having, tallies.given, tallies.hits))
    if having:
        verb = "is" if having == 1 else "are"
        yield f"Finds {texts_of(hits / having, having)} that {verb} {quoted(label)}."
    if given:
        yield f"Of {counted(given, 'text')} that it calls {quoted(label)}, {_are(hits, given)}."
    elif having:
        yield f"It calls no text {quoted(label)}."


def _are(hits: int, given: int) -> str:
    if hits == 0:
        return "none is"
    if hits == given:
        return "all are" if given > 1 else "it is one"
    return f"{hits:,} {'is' if hits == 1 else 'are'}"
