"""A model's folder → the estimator that it came from, or could have come from."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from bertblocks.assembly import AssembledModel, load_model
from bertblocks.assembly.building import graph_pooling
from bertblocks.blocks import BertEncoder, text_model
from bertblocks.encoder import Precision, choose_precision, resolve_device
from bertblocks.errors import CheckpointError
from bertblocks.estimators.base import WINDOW_OPTIONS
from bertblocks.estimators.text_estimators import TextClassifier, TextRegressor
from bertblocks.inference import model_folder


def load(
    folder: str | os.PathLike[str], *, precision: Precision = "auto", device: str = "auto"
) -> TextClassifier | TextRegressor:
    """Load a model that save() or `bertblocks train` wrote.

    Another fit trains the same kind of model: from the same encoder, pooling and lengths, or, of a graph of
    one's own, from this graph. How it was trained (epochs, rates, seed) is in run.json where the command line
    trained it, and not in the estimator: those parameters are the defaults again. Labels are texts, as every
    file has them.

    Args:
        folder: The model, or its zip.
        precision: Of its products; "auto" takes the fastest on this machine.
        device: Where it runs; "auto" takes CUDA where there is one.

    Raises:
        ConfigError: If there is no such precision or device.
        CheckpointError: If the folder is not a finished model, or its files have been changed.
    """
    # Said at once, and not when the model is first asked.
    choose_precision(precision, resolve_device(device))
    path = model_folder(folder)
    if not path.is_dir():
        raise CheckpointError(
            f"{path} does not exist or is not a folder; a model is a folder that save() wrote, or its zip. "
            "An encoder such as 'mini' is loaded by load_encoder()."
        )
    model = load_model(path)
    kind = TextRegressor if model.task.kind == "regression" else TextClassifier
    settings = _ready_made_settings(model)
    estimator = kind(
        **({"graph": model.graph} if settings is None else settings), precision=precision, device=device
    )
    estimator.model_ = model
    if isinstance(estimator, TextClassifier):
        estimator.classes_ = np.array(model.task.labels)
    return estimator


def _ready_made_settings(model: AssembledModel) -> dict[str, Any] | None:
    """The parameters that make the model's graph; None where only the graph itself says what it is."""
    graph, tokenizer = model.graph, model.graph.tokenizer
    if tokenizer is None or isinstance(graph.encoder, BertEncoder):
        return None
    shared = {
        "encoder": model.origin,
        "pooling": graph_pooling(graph),
        "sequence_length": tokenizer.sequence_length,
        **{option: getattr(tokenizer, option) for option in WINDOW_OPTIONS},
    }
    first, second = [*(block.column for block in graph.inputs), None][:2]
    ready_made = text_model(
        task=model.task,
        text=str(first),
        text_pair=second,
        target=graph.target.column,
        trainable=graph.encoder.trainable,
        **shared,
    )
    return {**shared, "freeze_encoder": not graph.encoder.trainable} if graph == ready_made else None
