"""What training knows of a model, told in its card."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertblocks._version import __version__
from bertblocks.assembly import AssembledModel
from bertblocks.blocks import Task
from bertblocks.evaluation import (
    CARD_FILE,
    CardFacts,
    Evaluation,
    TokenCounts,
    TrainingRows,
    model_card,
    token_statistics,
)
from bertblocks.training.rows import LabeledTexts
from bertblocks.training.run import TrainedModel
from bertblocks.training.table_rows import TableRows
from bertblocks.training.table_run import TableRun


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What a card tells of training.

    Attributes:
        rows: The rows that were learnt from, in a few numbers.
        settings: How, names and values.
    """

    rows: TrainingRows
    settings: Mapping[str, Any]


def training_facts(
    trained: TrainedModel,
    train: LabeledTexts,
    *,
    num_held_out: int,
    table: str | None = None,
    validation_table: str | None = None,
) -> TrainingFacts:
    """Sum up a training.

    Args:
        trained: What it gave.
        train: The rows that were learnt from.
        num_held_out: Rows that the best epoch was chosen by.
        table: Name of the training table's file, where there is one.
        validation_table: The same of another table that was held out.
    """
    encoded, model = trained.train_encoded, trained.model
    counts = TokenCounts(
        num_tokens=encoded.num_tokens,
        truncated=encoded.truncated,
        num_unknown=encoded.num_unknown,
        sequence_length=model.sequence_length,
        in_windows=model.token_limit is None,
    )
    rows = TrainingRows(
        num_rows=len(train),
        num_held_out=num_held_out,
        label_counts=_label_counts(model.task, train.targets),
        tokens=token_statistics(counts),
        table=table,
        validation_table=validation_table,
        are_weighted=train.weights is not None,
    )
    return TrainingFacts(
        rows=rows,
        settings={
            **trained.settings.to_json(),
            "outcome": trained.outcome,
            "bertblocks": __version__,
            "torch": torch.__version__,
        },
    )


def _label_counts(task: Task, targets: Any) -> dict[str, int]:
    if task.kind == "regression":
        return {}
    if task.kind == "multilabel":
        counts = np.count_nonzero(targets, axis=0)
    else:
        counts = np.bincount(targets, minlength=len(task.labels))
    return dict(zip(task.labels, counts.tolist(), strict=True))


def run_card(run: TableRun, rows: TableRows, trained: TrainedModel, evaluation: Evaluation) -> str:
    """The card of a model that was trained on a table."""
    is_other_table = rows.validation_report is not rows.train_report
    facts = training_facts(
        trained,
        rows.train,
        num_held_out=len(rows.validation),
        table=Path(run.table).name,
        validation_table=Path(str(run.validation)).name if is_other_table else None,
    )
    return model_card(
        CardFacts(model=trained.model, rows=facts.rows, settings=facts.settings, evaluation=evaluation)
    )


def save_with_card(
    model: AssembledModel, folder: str | os.PathLike[str], training: TrainingFacts | None
) -> None:
    """Write a model's folder with a card that tells what is known.

    Args:
        model: The model.
        folder: As for AssembledModel.save.
        training: Of this model; None where nobody knows, as after loading.

    Raises:
        CheckpointError: If the folder holds something that is not a model.
    """
    facts = CardFacts(model=model)
    if training is not None:
        facts = CardFacts(model=model, rows=training.rows, settings=training.settings)
    with tempfile.TemporaryDirectory() as place:
        card = Path(place) / CARD_FILE
        card.write_text(model_card(facts), encoding="utf-8", newline="\n")
        model.save(folder, extra_files=[card])
