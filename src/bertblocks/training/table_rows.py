"""The tables of a run → labelled texts for training and validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertblocks._words import counted
from bertblocks.blocks import Task
from bertblocks.data import (
    Example,
    InputColumn,
    RowReport,
    TokenIdsColumn,
    encode_targets,
    infer_task,
    open_table,
    read_examples,
    row_weights,
    unlabeled_rows,
)
from bertblocks.encoder import resolve_device
from bertblocks.errors import ConfigError, DataError
from bertblocks.evaluation import check_groups
from bertblocks.training.rows import LabeledTexts
from bertblocks.training.table_run import TableRun

_SHOWN_LABELS, _SHOWN_CHARACTERS = 10, 40


@dataclass(frozen=True, kw_only=True, eq=False)
class TableRows:
    """What a run learns from, and what it is judged by.

    Attributes:
        task: As the target column shows it, or as the run was told.
        train: Rows to learn from.
        validation: Rows held out.
        train_report: Rows read and left out of the training table.
        validation_report: The same of the validation table; of the training table where there is no other.
    """

    task: Task
    train: LabeledTexts
    validation: LabeledTexts
    train_report: RowReport
    validation_report: RowReport


def check_sources(run: TableRun) -> None:
    """Refuse tables that cannot be opened, a share that is none and a device that is not here.

    Raises:
        DataError: If a table is missing, of an unknown form or empty.
        ConfigError: If validation is neither a table nor a share, or there is no such device.
    """
    resolve_device(run.training.device)
    tables = [run.table] if _as_share(run.validation) is not None else [run.table, str(run.validation)]
    for path in tables:
        open_table(path, encoding=run.encoding, sheet=run.sheet)


def read_table_rows(run: TableRun, say: Callable[[str], None]) -> TableRows:
    """Read and encode the rows of a run.

    Args:
        run: Names the tables and their columns.
        say: Told, in sentences, what is found.

    Raises:
        DataError: If a table or its rows cannot be used.
        ConfigError: If validation is neither a table nor a share.
    """
    # A row without a number is known to be bad where numbers are asked for; else they would be classes.
    known = Task(kind="regression") if run.task == "regression" else None
    examples, report = _read(run, run.table, say, weight=run.weight, task=known)
    raw = [example.target for example in examples]
    numbers = [example.row for example in examples]
    with _naming(run.table):
        task = infer_task(
            raw, column=run.target, kind=run.task, label_separator=run.label_separator, rows=numbers
        )
    say(_describe(task, run, len(examples)))
    train = _labeled(examples, task, run, run.table)
    _say_unlabeled(train, task, run.table, say)
    share = _as_share(run.validation)
    if share is None:
        others, other_report = _read(run, str(run.validation), say, task=task)
        validation = _labeled(others, task, run, str(run.validation))
        _say_unlabeled(validation, task, str(run.validation), say)
    else:
        other_report = report
        with _naming(run.table):
            train, validation = train.divided(task, fraction=share, seed=run.training.seed)
        held_out = counted(len(validation), "of the rows is held out", "of the rows are held out")
        say(f"{held_out}, to choose the best epoch and to evaluate.")
    if run.group_by is not None and validation.groups is not None:
        # Found after training, it would cost the trained model.
        with _naming(run.table if share is not None else str(run.validation)):
            check_groups(run.group_by, set(validation.groups))
    return TableRows(
        task=task,
        train=train,
        validation=validation,
        train_report=report,
        validation_report=other_report,
    )


def _read(
    run: TableRun,
    path: str,
    say: Callable[[str], None],
    *,
    weight: str | None = None,
    task: Task | None = None,
) -> tuple[list[Example], RowReport]:
    report = RowReport()
    examples = read_examples(
        open_table(path, encoding=run.encoding, sheet=run.sheet),
        text=_input_column(run),
        pair=run.text_pair,
        target=run.target,
        group=run.group_by,
        weight=weight,
        label_separator=run.label_separator,
        task=task,
        on_bad_row="skip" if run.skip_bad_rows else "error",
        report=report,
    )
    rows = list(examples)
    if summary := report.summary():
        say(f"{path}: {summary}")
    return rows, report


def _input_column(run: TableRun) -> InputColumn:
    if run.ids is None:
        return str(run.text)
    return TokenIdsColumn(name=run.ids, vocabulary_size=run.vocabulary_size or 0)


def _labeled(examples: Sequence[Example], task: Task, run: TableRun, path: str) -> LabeledTexts:
    with _naming(path):
        targets = encode_targets(
            (example.target for example in examples),
            task,
            column=run.target,
            rows=[example.row for example in examples],
            label_separator=run.label_separator,
        )
    return LabeledTexts(
        texts=[example.text for example in examples],
        pairs=[example.pair or "" for example in examples] if run.text_pair else None,
        groups=[example.group or "" for example in examples] if run.group_by else None,
        weights=_weights(examples, path),
        targets=targets,
    )


def _weights(examples: Sequence[Example], path: str) -> NDArray[np.float64] | None:
    weights = [example.weight for example in examples if example.weight is not None]
    return row_weights(weights, name=f"{path}, the weights") if weights else None


def _say_unlabeled(rows: LabeledTexts, task: Task, path: str, say: Callable[[str], None]) -> None:
    if sentence := unlabeled_rows(rows.targets, task):
        say(f"{path}: {sentence}")


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Put the table's path before what is wrong with its targets."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _as_share(validation: str | float) -> float | None:
    """The share to hold out, or None where validation names a table."""
    try:
        share = float(validation)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise ConfigError(f"validation is {validation}, but must be a table or a share between 0 and 1.")
    return share


def _describe(task: Task, run: TableRun, num_rows: int) -> str:
    found = {
        "classification": f"one of {len(task.labels)} classes",
        "binary": "yes or no",
        "multilabel": f"any of {len(task.labels)} labels",
        "regression": f"a number (mean {task.target_mean:.4g}, deviation {task.target_scale:.4g})",
    }[task.kind]
    shown = [
        repr(label if len(label) <= _SHOWN_CHARACTERS else label[:_SHOWN_CHARACTERS] + "...")
        for label in task.labels[:_SHOWN_LABELS]
    ]
    labels = ", ".join(shown) + (", ..." if len(task.labels) > _SHOWN_LABELS else "")
    listed = f": {labels}" if labels else ""
    way_out = "" if run.task else f" To read it otherwise, give --task; this is {task.kind}."
    return f"{counted(num_rows, 'row')}. The target {run.target!r} is {found}{listed}.{way_out}"
