"""Tasks that choose one label: what was taken for what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertblocks._words import counted
from bertblocks.evaluation.report.data_tables import data_table, numbers, texts
from bertblocks.evaluation.report.findings import Findings
from bertblocks.evaluation.report.layout import Block, Section, figure, section, subheading, together
from bertblocks.evaluation.report.markup import Html, element
from bertblocks.evaluation.report.phrases import percent
from bertblocks.evaluation.report.plots_confusion import MAX_PICTURE_LABELS, confusion_picture
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell

_MAX_CONFUSIONS = 50


def answers_section(data: ReportData, findings: Findings) -> Section | None:
    """The confusion matrix, and the mistakes by their number; nothing for other tasks."""
    if findings.counts is None:
        return None
    labels = data.task.labels
    parts: list[Block | Html | None] = []
    if len(labels) <= MAX_PICTURE_LABELS:
        parts.append(_matrix(labels, findings.counts.toarray()))
    if len(labels) > 2:
        parts.append(_frequent_mistakes(labels, findings))
    return section("confusion", "Confusions", "What was taken for what", parts)


def _matrix(labels: tuple[str, ...], counts: NDArray[np.int64]) -> Block:
    rows: list[list[Cell]] = [
        [label, *(_count_and_share(int(number), int(row.sum())) for number in row)]
        for label, row in zip(labels, counts, strict=True)
    ]
    columns = [*texts("Truth \\ answer"), *numbers(*labels)]
    table = data_table(
        "Texts by true label (rows) and answer (columns), with shares of the row", columns, rows
    )
    caption = (
        "Each row is a true label, each column an answer of the model. The numbers count texts; the darker a "
        "cell, the larger its share of the true label's texts. Right answers lie on the diagonal."
    )
    return figure(confusion_picture(labels, counts), caption, table)


def _count_and_share(number: int, having: int) -> str:
    return f"{number:,} ({percent(number / having)})" if number else "0"


def _frequent_mistakes(labels: tuple[str, ...], findings: Findings) -> Block:
    mistakes = findings.confusions
    if not mistakes or findings.tallies is None:
        return Block(html=element("p", "There are no mistakes."))
    having = findings.tallies.having
    rows: list[list[Cell]] = [
        [
            labels[entry.truth],
            labels[entry.answer],
            entry.num_rows,
            percent(entry.num_rows / int(having[entry.truth])),
        ]
        for entry in mistakes[:_MAX_CONFUSIONS]
    ]
    caption = f"{counted(len(mistakes), 'kind of mistake', 'kinds of mistakes')}, the most frequent first"
    if len(mistakes) > _MAX_CONFUSIONS:
        caption = f"The {_MAX_CONFUSIONS} most frequent of {len(mistakes):,} kinds of mistakes"
    columns = [*texts("Truth", "Answer"), *numbers("Texts", "Of the true label's texts")]
    return together(
        subheading("The most frequent mistakes"), data_table(caption, columns, rows, sortable=True)
    )
