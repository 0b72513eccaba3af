"""A model's folder → the estimator that it came from, or could have come from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from bertblocks.assembly import load_model
from bertblocks.assembly.building import graph_pooling
from bertblocks.blocks import BertEncoder, BertTokenizer
from bertblocks.encoder import Precision, choose_precision, resolve_device
from bertblocks.errors import CheckpointError
from bertblocks.estimators.base import WINDOW_OPTIONS
from bertblocks.estimators.text_estimators import TextClassifier, TextRegressor


def load(
    folder: str | os.PathLike[str], *, precision: Precision = "auto", device: str = "auto"
) -> TextClassifier | TextRegressor:
    """Load a model that save() or `bertblocks train` wrote.

    Args:
        folder: The model.
        precision: Of its products; "auto" takes the fastest on this machine.
        device: Where it runs; "auto" takes CUDA where there is one.

    Raises:
        ConfigError: If there is no such precision or device.
        CheckpointError: If the folder is not a finished model, or its files have been changed.
    """
    # Said at once, and not when the model is first asked.
    choose_precision(precision, resolve_device(device))
    path = Path(folder)
    if not path.is_dir():
        raise CheckpointError(
            f"{path} does not exist or is not a folder; a model is a folder that save() wrote."
        )
    model = load_model(path)
    kind = TextRegressor if model.task.kind == "regression" else TextClassifier
    if isinstance(model.graph.encoder, BertEncoder):
        estimator = kind(graph=model.graph, precision=precision, device=device)
    else:
        estimator = kind(
            encoder=model.origin,
            pooling=graph_pooling(model.graph),
            sequence_length=model.sequence_length,
            **{option: getattr(model.graph.tokenizer or BertTokenizer, option) for option in WINDOW_OPTIONS},
            freeze_encoder=not model.graph.encoder.trainable,
            precision=precision,
            device=device,
        )
    estimator.model_ = model
    if isinstance(estimator, TextClassifier):
        estimator.classes_ = np.array(model.task.labels)
    return estimator
