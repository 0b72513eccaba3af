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
    ModelInput,
    RowReport,
    Table,
    TokenIdsColumn,
    encode_targets,
    read_examples,
    unlabeled_rows,
)
from bertblocks.errors import CheckpointError, ConfigError, DataError
from bertblocks.evaluation.baseline import BaselineResult
from bertblocks.evaluation.evaluations import Evaluation, check_groups, evaluate
from bertblocks.evaluation.tokens import TokenCounts
from bertblocks.inference import Predictions, Predictor, targets_in_unit

METRICS_FILE = "metrics.json"
# Rows that are sorted by length and computed together: enough to sort well, few enough to hold.
_CHUNK_ROWS = 4096

_LOG = logging.getLogger(__name__)


def evaluate_table(
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
    on_batch: Callable[[int], None] | None = None,
    say: Callable[[str], None] = _LOG.info,
) -> Evaluation:
    """Predict a table and compare with its truth.

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
        on_batch: Called after each batch with its number of rows.
        say: Told, in sentences, what is found.

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
    found: list[Predictions] = []
    targets, groups = [], []
    names: set[str | None] = set()
    for chunk in _chunks(examples):
        if group_by is not None:
            names.update(example.group for example in chunk)
            check_groups(group_by, names)
        found.append(predictor.predict(*_inputs(chunk, pairs=pair is not None)))
        targets.append(_encode(chunk, task, target, label_separator))
        groups += [example.group for example in chunk]
        if on_batch is not None:
            on_batch(len(chunk))
    truth = np.concatenate(targets)
    for sentence in (report.summary(), unlabeled_rows(truth, task)):
        if sentence:
            say(f"{table.path}: {sentence}")
    return evaluate(
        task,
        targets=targets_in_unit(task, truth),
        scores=np.concatenate([part.scores for part in found]),
        tokens=token_counts(found, predictor.model),
        group_by=group_by,
        groups=groups if group_by else None,
        skipped=dict(report.num_skipped),
        baseline=baseline,
        baseline_rows="other",
    )


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


def _encode(chunk: Sequence[Example], task: Task, column: str, label_separator: str | None) -> NDArray[Any]:
    return encode_targets(
        (example.target for example in chunk),
        task,
        column=column,
        rows=[example.row for example in chunk],
        label_separator=label_separator,
    )


def _chunks(examples: Iterable[Example]) -> Iterator[list[Example]]:
    examples = iter(examples)
    while chunk := list(islice(examples, _CHUNK_ROWS)):
        yield chunk


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


def _inputs(examples: Sequence[Example], *, pairs: bool) -> tuple[list[ModelInput], list[str] | None]:
    texts = [example.text for example in examples]
    return texts, [example.pair or "" for example in examples] if pairs else None
