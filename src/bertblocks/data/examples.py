"""Rows of a table become examples; rows that cannot are an error, or are counted and left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bertblocks._words import counted
from bertblocks.blocks.task import Task
from bertblocks.data.batches import (
    SHOWN_ROWS,
    Reason,
    RowProblem,
    Table,
    TableBatch,
    bad_rows,
    check_columns,
    hints,
)
from bertblocks.data.inputs import input_problem, input_value, text_problem
from bertblocks.data.labels import check_separator
from bertblocks.data.target_arrays import TargetReader
from bertblocks.data.token_ids import InputColumn, ModelInput, TokenIdsColumn, column_name
from bertblocks.data.values import is_missing, shown
from bertblocks.data.weights import weight_of, weight_problem
from bertblocks.errors import ConfigError, DataError

OnBadRow = Literal["error", "skip"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One row to learn from or to predict.

    Attributes:
        row: Number of the data row in its table, from 1.
        text: The text, never blank; or the ids, of a column of token ids.
        pair: The second text of a pair.
        target: What the target column holds, as the table gave it.
        group: To what the row belongs, such as its language.
        weight: How much the row counts, where the table says it.
    """

    row: int
    text: ModelInput
    pair: str | None = None
    target: Any | None = None
    group: str | None = None
    weight: float | None = None


@dataclass(kw_only=True)
class RowReport:
    """Counts the rows read and the rows left out, and keeps the first few of each kind.

    Attributes:
        num_rows: Rows read, those left out included.
        num_skipped: Rows left out, by reason.
        first: The first problems of each reason.
    """

    num_rows: int = 0
    num_skipped: Counter[Reason] = field(default_factory=Counter)
    first: dict[Reason, list[RowProblem]] = field(default_factory=dict)

    @property
    def total_skipped(self) -> int:
        """All rows left out."""
        return sum(self.num_skipped.values())

    def add(self, num_rows: int, problems: list[RowProblem]) -> None:
        """Count a batch: its rows, and the problems of those among them that are left out."""
        self.num_rows += num_rows
        for problem in problems:
            self.num_skipped[problem.reason] += 1
            kept = self.first.setdefault(problem.reason, [])
            if len(kept) < SHOWN_ROWS:
                kept.append(problem)

    def summary(self, one: str = "was left out", several: str = "were left out") -> str:
        """Say what became of bad rows: a line in all, then a line for each reason; "" if there are none.

        Args:
            one: What became of them, of a single one.
            several: The same of several.
        """
        if not self.total_skipped:
            return ""
        total = f"of {counted(self.num_rows, 'row')}"
        lines = [counted(self.total_skipped, f"{total} {one}", f"{total} {several}")]
        for reason, count in self.num_skipped.most_common():
            first = self.first[reason]
            more = ", ..." if count > len(first) else ""
            told = f"{'; '.join(map(str, first))}{more}"
            lines.append("  " + ". ".join([f"{reason}, {count:,}: {told}", *hints(first)]))
        return "\n".join(lines)


def read_examples(
    table: Table,
    *,
    text: InputColumn,
    pair: str | None = None,
    target: str | None = None,
    group: str | None = None,
    weight: str | None = None,
    label_separator: str | None = None,
    task: Task | None = None,
    on_bad_row: OnBadRow = "error",
    report: RowReport | None = None,
) -> Iterator[Example]:
    """Read a table's examples, one after another, at constant memory.

    A row is bad if it cannot be read, its text, pair or target is missing or blank, its text is no text,
    its token ids are not what they must be, its target is none of a known task's, or its weight is missing,
    negative or not finite. A number in a text column counts as text; a missing group does not matter.

    Args:
        table: The table.
        text: Column of the text, or of token ids.
        pair: Column of the second text of a pair.
        target: Column of what is to be predicted; None where there is nothing to learn from.
        group: Column by which results are told apart.
        weight: Column of how much each row counts.
        label_separator: What stands between the labels of a target; with it a blank target is a row without
            labels.
        task: What is predicted, where that is known: its labels are the only ones.
        on_bad_row: "error" raises at the first batch with bad rows; "skip" leaves them out.
        report: Counts rows, and those left out.

    Raises:
        DataError: If a column is missing (at once), a row is bad and on_bad_row is "error", or every row is
            bad.
        ConfigError: If one column is to be two things, label_separator is empty, or on_bad_row is unknown.
    """
    check_separator(label_separator)
    if on_bad_row not in ("error", "skip"):
        raise ConfigError(f"on_bad_row is {on_bad_row!r}, but must be 'error' or 'skip'.")
    roles = _Roles(
        text=text,
        pair=pair,
        target=target,
        group=group,
        weight=weight,
        may_be_unlabeled=label_separator is not None,
        known_targets=None if task is None else TargetReader(task, label_separator),
    )
    roles.check(table)
    return _examples(table, roles, on_bad_row, RowReport() if report is None else report)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Roles:
    text: InputColumn
    pair: str | None
    target: str | None
    group: str | None
    weight: str | None
    may_be_unlabeled: bool
    known_targets: TargetReader | None

    @property
    def text_name(self) -> str:
        return column_name(self.text)

    def columns(self) -> tuple[str, ...]:
        named = (self.text_name, self.pair, self.target, self.group, self.weight)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def check(self, table: Table) -> None:
        check_columns(table.path, table.columns, self.columns())
        if isinstance(self.text, TokenIdsColumn):
            self.text.check_table(table)
        roles = (self.text_name, self.pair, self.target, self.weight)
        used = [name for name in roles if name is not None]
        for name in sorted({name for name in used if used.count(name) > 1}):
            raise ConfigError(
                f"The column {name!r} cannot be two of text, pair, target and weight: name different columns."
            )


def _examples(table: Table, roles: _Roles, on_bad_row: OnBadRow, report: RowReport) -> Iterator[Example]:
    num_good = 0
    for batch in table.batches(roles.columns()):
        examples, problems = _batch_examples(batch, roles)
        if problems and on_bad_row == "error":
            raise DataError(bad_rows(table.path, problems, _advice(problems)))
        report.add(len(examples) + len(problems), problems)
        num_good += len(examples)
        yield from examples
    if not num_good:
        raise DataError(f"{table.path}: no row can be used. {report.summary()}")


def _batch_examples(batch: TableBatch, roles: _Roles) -> tuple[list[Example], list[RowProblem]]:
    examples: list[Example] = []
    problems = list(batch.problems)
    nothing = [None] * len(batch.rows)
    texts = batch.columns[roles.text_name]
    pairs = batch.columns[roles.pair] if roles.pair is not None else nothing
    targets = _targets(batch, roles)
    groups = batch.columns[roles.group] if roles.group is not None else nothing
    weights = batch.columns[roles.weight] if roles.weight is not None else nothing
    for i, row in enumerate(batch.rows):
        problem = (
            _at(roles.text_name, input_problem(texts[i], roles.text))
            or (_at(roles.pair, text_problem(pairs[i])) if roles.pair is not None else None)
            or (_at(roles.target, _target_problem(targets[i], roles)) if roles.target is not None else None)
            or (_at(roles.weight, _weight_problem(weights[i])) if roles.weight is not None else None)
        )
        if problem:
            column, reason, message = problem
            line = batch.lines[i] if batch.lines is not None else None
            hint = roles.known_targets.known if roles.known_targets and reason == "unknown label" else ""
            problems.append(
                RowProblem(row=row, line=line, column=column, reason=reason, message=message, hint=hint)
            )
            continue
        pair = None if pairs[i] is None else str(pairs[i])
        group = None if is_missing(groups[i]) else str(groups[i])
        text = input_value(texts[i], roles.text)
        weight = None if roles.weight is None else weight_of(weights[i])
        examples.append(Example(row=row, text=text, pair=pair, target=targets[i], group=group, weight=weight))
    return examples, sorted(problems, key=lambda problem: problem.row)


def _targets(batch: TableBatch, roles: _Roles) -> Sequence[Any]:
    """What is to be predicted; an empty list stands for a blank target where that is a row without labels."""
    if roles.target is None:
        return [None] * len(batch.rows)
    values = batch.columns[roles.target]
    return [[] if is_missing(value) else value for value in values] if roles.may_be_unlabeled else values


def _at(column: str, problem: tuple[Reason, str] | None) -> tuple[str, Reason, str] | None:
    return None if problem is None else (column, *problem)


def _target_problem(value: Any, roles: _Roles) -> tuple[Reason, str] | None:
    if is_missing(value):
        return "missing value", "the target is missing"
    if not isinstance(value, (str, int, float, list)):
        return "wrong type", f"expected a label, a list of labels or a number, found {shown(value)}"
    return None if roles.known_targets is None else roles.known_targets.problem(value)


def _weight_problem(value: Any) -> tuple[Reason, str] | None:
    problem = weight_problem(value)
    return ("missing value" if is_missing(value) else "unusable weight", problem) if problem else None


def _advice(problems: Sequence[RowProblem]) -> str:
    unknown = any(problem.reason == "unknown label" for problem in problems)
    too = " train with rows of these labels too," if unknown else ""
    return f"Mend the table,{too} or leave bad rows out with --skip-bad-rows."
