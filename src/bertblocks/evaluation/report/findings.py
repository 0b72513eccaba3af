"""What several sections of a report need, counted once."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import sparse

from bertblocks.evaluation.report.answers import (
    Confusion,
    LabelTallies,
    confusion_counts,
    confusions,
    tallies_of_confusion,
    tallies_of_labels,
)
from bertblocks.evaluation.report_data import ReportData


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """Counts of all rows.

    Attributes:
        num_rows: How many there are.
        tallies: Rows by label; None for numbers.
        counts: Rows by true label and answer; None unless the task chooses one label.
        confusions: The mistakes among them, the most frequent first.
    """

    num_rows: int
    tallies: LabelTallies | None = None
    counts: sparse.csr_array | None = None
    confusions: tuple[Confusion, ...] = ()


def find(data: ReportData) -> Findings:
    """Go through all rows once."""
    num_rows = len(data.rows.targets)
    if data.task.kind == "regression":
        return Findings(num_rows=num_rows)
    if data.task.kind == "multilabel":
        return Findings(num_rows=num_rows, tallies=tallies_of_labels(data.task, data.rows))
    counts = confusion_counts(data.task, data.rows)
    return Findings(
        num_rows=num_rows,
        tallies=tallies_of_confusion(counts),
        counts=counts,
        confusions=tuple(confusions(counts)),
    )
