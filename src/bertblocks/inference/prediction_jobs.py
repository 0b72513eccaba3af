"""Predicting tables as a job: which columns it adds, and how token ids become these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bertblocks.blocks import Task, TaskKind
from bertblocks.data import Table
from bertblocks.inference.job_checks import checked, environment_of
from bertblocks.inference.job_report import RowCounts
from bertblocks.inference.predictions import Predictions, rounded
from bertblocks.inference.predictor import Predictor
from bertblocks.inference.result_tables import ResultKind
from bertblocks.inference.shard_results import Compute, Results
from bertblocks.inference.table_job import JobOptions, TableJob
from bertblocks.text import Encoded


def prediction_job(
    predictor: Predictor, tables: Sequence[Table], options: JobOptions, ending: str
) -> TableJob:
    """The job of predicting tables.

    Args:
        predictor: The model.
        tables: With the same columns.
        options: Of rows and columns.
        ending: Of the parts.

    Raises:
        DataError: If a column is missing or has a result's name.
    """
    model = predictor.model
    job = TableJob(
        what="predict",
        tables=tuple(tables),
        inputs=tuple(model.columns),
        results=_result_kinds(model.task),
        options=options,
        ending=ending,
        model={"sha256": predictor.sha256, "precision": predictor.precision},
        environment=environment_of(predictor.kernels, predictor.device),
    )
    return checked(job)


def prediction_counts(predictor: Predictor) -> RowCounts:
    """Counts of rows of a model's kind, with nothing counted."""
    return RowCounts(predictor.model.sequence_length, slides=predictor.model.token_limit is None)


def prediction_results(predictor: Predictor, *, deduplicate: bool) -> Compute:
    """What turns token ids into the results of a prediction job."""

    def compute(encoded: Encoded) -> Results:
        found = predictor.predict_encoded(encoded, deduplicate=deduplicate)
        scores = found.scores
        is_finite = np.isfinite(scores if scores.ndim == 1 else scores.sum(axis=1))
        return Results(columns=_result_columns(predictor.model.task, found), is_finite=is_finite.tolist())

    return compute


def _result_kinds(task: Task) -> dict[str, ResultKind]:
    """The columns that predict_table adds, in order."""
    answers: dict[TaskKind, ResultKind] = {"regression": "number", "multilabel": "texts"}
    return {
        "prediction": answers.get(task.kind, "text"),
        **{f"probability:{label}": "number" for label in task.labels},
        "num_tokens": "count",
        "truncated": "flag",
        "num_unknown": "count",
    }


def _result_columns(task: Task, found: Predictions) -> dict[str, list[Any]]:
    """The results as columns."""
    answers: list[Any] = [list(a) if isinstance(a, tuple) else a for a in found.answers]
    if task.kind == "regression":
        answers = [rounded(task, score) for score in found.scores.tolist()]
    columns: dict[str, list[Any]] = {"prediction": answers}
    shown = np.round(found.scores.astype(np.float64), 6)
    for index, label in enumerate(task.labels):
        columns[f"probability:{label}"] = shown[:, index].tolist()
    columns["num_tokens"] = found.num_tokens.tolist()
    columns["truncated"] = found.truncated.tolist()
    columns["num_unknown"] = found.num_unknown.tolist()
    return columns
