"""A finished run's held-out rows → its evaluation, and the report that lies beside the model's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertblocks.data import Example
from bertblocks.evaluation import (
    PREDICTIONS_FILE,
    BaselineResult,
    Evaluation,
    LabeledChunk,
    ReportData,
    evaluate_rows,
    examine,
    explain_mistakes,
    in_words,
    row_hashes,
    run_facts,
    true_answer,
    write_evaluation,
)
from bertblocks.inference import Predictor
from bertblocks.training.logs import LOG_FILE, read_history
from bertblocks.training.rows import LabeledTexts
from bertblocks.training.run import TrainedModel
from bertblocks.training.table_rows import TableRows
from bertblocks.training.table_run import TableRun

# As many as `bertblocks evaluate` has at once.
_CHUNK_ROWS = 4096


def evaluate_run(
    run: TableRun,
    rows: TableRows,
    trained: TrainedModel,
    baseline: BaselineResult | None,
    *,
    log: Path,
    folder: Path,
) -> Evaluation:
    """Predict the held-out rows, compare, and write the report with every row's answer.

    Args:
        run: What was done.
        rows: Its rows.
        trained: The model, with its resolved settings.
        baseline: The figures of the baseline on the same rows.
        log: The folder that holds training.jsonl.
        folder: Where the report is written.
    """
    # Resolved once for the run: a resumed one is measured in the same precision.
    training, task = trained.settings, trained.model.task
    predictor = Predictor(trained.model, precision=training.precision, device=training.device)
    found = examine(
        predictor,
        _chunks(rows.validation),
        group_by=run.group_by,
        training_texts=training_hashes(rows),
        predictions=folder / PREDICTIONS_FILE,
    )
    evaluation = evaluate_rows(
        task,
        found.rows,
        group_by=run.group_by,
        # Rows are held out only of those that can be used.
        skipped={} if rows.validation_report is rows.train_report else rows.validation_report.num_skipped,
        skipped_in_training=rows.train_report.num_skipped,
        fitted_rows="same",
        baseline=baseline,
    )
    held_out = isinstance(run.validation, float)
    table = run.table if held_out else str(run.validation)
    data = ReportData(
        title=f"Held-out rows of {table}" if held_out else f"Validation rows, {table}",
        task=task,
        evaluation=evaluation,
        rows=found.rows,
        mistakes=explain_mistakes(predictor, found.mistakes),
        num_mistakes=found.num_mistakes,
        leakage=found.leakage,
        history=read_history(log / LOG_FILE),
        facts=run_facts(
            predictor,
            model=Path(run.output),
            table=Path(table),
            settings=asdict(training),
        ),
    )
    about = {"model": run.output, "table": table, "rows": "held out in training" if held_out else "all"}
    write_evaluation(folder, data, about=about)
    return evaluation


def training_hashes(rows: TableRows) -> Any:
    """Hashes of the training rows, by which later evaluations find repeated texts."""
    train = rows.train
    truths = [in_words(rows.task, true_answer(rows.task, target)) for target in train.targets]
    return row_hashes(train.texts, train.pairs, truths)


def _chunks(rows: LabeledTexts) -> Iterator[LabeledChunk]:
    for start in range(0, len(rows), _CHUNK_ROWS):
        places = range(start, min(start + _CHUNK_ROWS, len(rows)))
        examples = [
            Example(
                row=place + 1,
                text=rows.texts[place],
                pair=None if rows.pairs is None else rows.pairs[place],
                group=None if rows.groups is None else rows.groups[place],
            )
            for place in places
        ]
        yield LabeledChunk(examples=examples, targets=rows.targets[start : places.stop])
