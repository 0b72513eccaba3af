"""A predictor and a table with the truth → an evaluation; texts are streamed, only numbers are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.assembly import AssembledModel
from bertblocks.blocks import Task
from bertblocks.data import (
    Example,
    InputColumn,
    RowReport,
    Table,
    TokenIdsColumn,
    encode_targets,
    read_examples,
    unlabeled_rows,
)
from bertblocks.errors import CheckpointError, ConfigError, DataError
from bertblocks.evaluation.baseline import BaselineResult
from bertblocks.evaluation.evaluations import evaluate_rows
from bertblocks.evaluation.examination import LabeledChunk, examine
from bertblocks.evaluation.explained_mistakes import explain_mistakes
from bertblocks.evaluation.output import METRICS_FILE
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tokens import TokenCounts
from bertblocks.inference import Predictions, Predictor

# Rows that are sorted by length and computed together: enough to sort well, few enough to hold.
_CHUNK_ROWS = 4096

_LOG = logging.getLogger(__name__)


def examine_table(
    predictor: Predictor,
    table: Table,
    *,
    text: str | None = None,
    text_pair: str | None = None,
    ids: str | None = None,
    target: str | None = None,
    label_separator: str | None = None,
    group_by: str | None = None,
    on_bad_row: Literal["error", "skip"] = "error",
    baseline: BaselineResult | None = None,
    training_texts: NDArray[Any] | None = None,
    predictions: Path | None = None,
    title: str | None = None,
    on_batch: Callable[[int], None] | None = None,
    say: Callable[[str], None] = _LOG.info,
) -> ReportData:
    """Predict a table and compare with its truth, row by row.

    Args:
        predictor: The model.
        table: Texts and truth.
        text: Column of texts; the one named in training where None.
        text_pair: Column of second texts, likewise.
        ids: Column of token ids, likewise.
        target: Column of the truth, likewise.
        label_separator: Splits the truth into several labels; with it a blank truth is a row without labels.
        group_by: Column for metrics by group.
        on_bad_row: Whether rows that cannot be used, such as those of a label that the model does not know,
            are an error, or are left out and counted.
        baseline: Figures of a baseline that was measured on other rows.
        training_texts: Hashes of the training rows, to find repeated texts by.
        predictions: A Parquet file to write every row to, with its answer beside the truth. With it, the
            worst mistakes are explained, since somebody will look at them.
        title: Of the report; the table's name where None.
        on_batch: Called after each batch with its number of rows.
        say: Told, in sentences, what is found.

    Returns:
        The evaluation, with what a report shows beside it; history and facts are left to the caller.

    Raises:
        DataError: If a column is missing or a row cannot be used.
        ConfigError: If a column is given that the model has no use for, or label_separator for one that gives
            no several labels.
    """
    graph, task = predictor.model.graph, predictor.model.task
    first, pair = _input_columns(predictor.model, text=text, text_pair=text_pair, ids=ids)
    if label_separator is not None and task.kind != "multilabel":
        raise ConfigError(f"label_separator has no effect: this is a {task.kind} model. Leave it out.")
    target = target or graph.target.column
    report = RowReport()
    examples = read_examples(
        table,
        text=first,
        pair=pair,
        target=target,
        group=group_by,
        label_separator=label_separator,
        task=task,
        on_bad_row=on_bad_row,
        report=report,
    )
    found = examine(
        predictor,
        _labeled(examples, task, target, label_separator),
        group_by=group_by,
        training_texts=training_texts,
        predictions=predictions,
        on_batch=on_batch,
    )
    for sentence in (report.summary(), unlabeled_rows(found.rows.targets, task)):
        if sentence:
            say(f"{table.path}: {sentence}")
    evaluation = evaluate_rows(
        task,
        found.rows,
        group_by=group_by,
        skipped=report.num_skipped,
        baseline=baseline,
        baseline_rows="other",
    )
    return ReportData(
        title=title or str(table.path),
        task=task,
        evaluation=evaluation,
        rows=found.rows,
        mistakes=explain_mistakes(predictor, found.mistakes) if predictions is not None else found.mistakes,
        num_mistakes=found.num_mistakes,
        leakage=found.leakage,
    )


def _labeled(
    examples: Iterable[Example], task: Task, column: str, label_separator: str | None
) -> Iterator[LabeledChunk]:
    examples = iter(examples)
    while chunk := list(islice(examples, _CHUNK_ROWS)):
        targets = encode_targets(
            (example.target for example in chunk),
            task,
            column=column,
            rows=[example.row for example in chunk],
            label_separator=label_separator,
        )
        yield LabeledChunk(examples=chunk, targets=targets)


def stored_baseline(folder: Path) -> BaselineResult | None:
    """The baseline's figures that training left in a model's folder; None where there are none.

    Raises:
        DataError: If metrics.json is not what training writes.
    """
    path = folder / METRICS_FILE
    if not is_there(path):
        return None
    try:
        stored = read_json_object(path).get("baseline")
        return None if stored is None else BaselineResult.from_json(stored)
    except (CheckpointError, DataError, TypeError, AttributeError, KeyError) as error:
        raise DataError(
            f"{path} is not what training writes ({error}): remove it to do without the baseline, or train "
            "again."
        ) from error


def token_counts(found: Sequence[Predictions], model: AssembledModel) -> TokenCounts:
    """What a model's tokenizer counted of predictions, joined."""
    return TokenCounts(
        num_tokens=np.concatenate([part.num_tokens for part in found]),
        truncated=np.concatenate([part.truncated for part in found]),
        num_unknown=np.concatenate([part.num_unknown for part in found]),
        sequence_length=model.sequence_length,
        in_windows=model.token_limit is None,
    )


def _input_columns(
    model: AssembledModel, *, text: str | None, text_pair: str | None, ids: str | None
) -> tuple[InputColumn, str | None]:
    """The columns to read: as in training, unless others are named."""
    columns = [*model.columns, None][:2]
    first, second = columns
    takes_ids = isinstance(first, TokenIdsColumn)
    given = {
        "text": text and takes_ids,
        "text_pair": text_pair and second is None,
        "ids": ids and not takes_ids,
    }
    if idle := [name for name, has_no_effect in given.items() if has_no_effect]:
        takes = "token ids" if takes_ids else "single texts" if second is None else "pairs of texts"
        raise ConfigError(f"{' and '.join(idle)} has no effect: this model takes {takes}. Leave it out.")
    if isinstance(first, TokenIdsColumn):
        return replace(first, name=ids or first.name), None
    return text or str(first), text_pair or (None if second is None else str(second))
