"""Runs of `train_model` on a tiny encoder, in a second or less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bertblocks.blocks import Graph, Task, text_model
from bertblocks.data import encode_targets, infer_task
from bertblocks.training import LabeledTexts, Processes, TrainedModel, TrainingSettings, train_model
from bertblocks.training.processes import ALONE

QUICK: dict[str, Any] = {"precision": "float32", "device": "cpu", "batch_tokens": 256, "learning_rate": 3e-3}


def labeled(
    texts: Sequence[str], targets: Sequence[Any], task: Task, pairs: Sequence[str] | None = None
) -> LabeledTexts:
    return LabeledTexts(texts=texts, pairs=pairs, targets=encode_targets(targets, task, column="target"))


def graph_of(encoder: Path, task: Task, **options: Any) -> Graph:
    return text_model(task=task, encoder=str(encoder), **{"sequence_length": 32, **options})


def run(
    encoder: Path,
    texts: Sequence[str],
    targets: Sequence[Any],
    *,
    kind: Any = None,
    pooling: Any = "cls",
    trainable: bool = True,
    validation: tuple[Sequence[str], Sequence[Any]] | None = None,
    work: Path | None = None,
    resume: bool = False,
    on_event: Any = None,
    row_weights: Sequence[float] | None = None,
    dropout: float = 0.1,
    processes: Processes = ALONE,
    **settings: Any,
) -> TrainedModel:
    task = infer_task(targets, column="target", kind=kind)
    counted = None if row_weights is None else np.array(row_weights, dtype=np.float64)
    return train_model(
        graph_of(encoder, task, pooling=pooling, trainable=trainable, dropout=dropout),
        task,
        replace(labeled(texts, targets, task), weights=counted),
        None if validation is None else labeled(*validation, task),
        TrainingSettings(**{**QUICK, "epochs": 3, **settings}),
        work=work,
        resume=resume,
        on_event=on_event or (lambda event: None),
        processes=processes,
    )


def weights(model: TrainedModel) -> dict[str, torch.Tensor]:
    return dict(model.model.module.state_dict())


def same_weights(one: TrainedModel, other: TrainedModel) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
