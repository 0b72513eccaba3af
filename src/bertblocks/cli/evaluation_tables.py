"""An evaluation printed for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bertblocks.cli.console import print_table, shortened, stdout

if TYPE_CHECKING:
    from bertblocks.evaluation import Evaluation, SummaryTable

_MAX_ROWS = 40
# Of a label or group: all columns should fit beside it.
_MAX_CHARACTERS = 40


def print_evaluation(evaluation: Evaluation, *, title: str) -> None:
    """Print figures beside the baseline's, by class, by group with the worst first, and what was cut."""
    # Imported where it is needed: --help should not wait for scikit-learn.
    from bertblocks.evaluation import summary_tables, threshold_note, verdict

    stdout.print(title, style="bold", markup=False)
    print_tables(summary_tables(evaluation))
    for sentence in (threshold_note(evaluation), verdict(evaluation)):
        if sentence:
            stdout.print(f"\n{sentence}", markup=False)


def print_tables(tables: Iterable[SummaryTable]) -> None:
    """Print tables, of long ones the first rows."""
    from bertblocks.evaluation import format_cell

    for table in tables:
        rows = [
            [
                shortened(format_cell(cell, column), _MAX_CHARACTERS)
                for cell, column in zip(row, table.columns, strict=True)
            ]
            for row in table.rows[:_MAX_ROWS]
        ]
        columns = [shortened(column, _MAX_CHARACTERS) for column in table.columns]
        print_table(f"\n{shortened(table.title, 2 * _MAX_CHARACTERS)}", columns, rows)
        if len(table.rows) > _MAX_ROWS:
            stdout.print(f"... and {len(table.rows) - _MAX_ROWS:,} more; --json prints all")
