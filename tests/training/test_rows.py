from __future__ import annotations

import numpy as np

from bertblocks.blocks import Task
from bertblocks.training import LabeledTexts


def test_no_model_is_judged_by_rows_of_weight_0():
    weights = np.array([0.0, 1.0, 0.0, 2.0] * 10)
    rows = LabeledTexts(
        texts=[str(index) for index in range(40)], targets=np.array([0, 1] * 20), weights=weights
    )
    task = Task(kind="classification", labels=("a", "b"))
    train, validation = rows.divided(task, fraction=0.4, seed=0)
    assert len(validation) == 8  # of the 20 that count
    assert validation.weights is not None and (validation.weights > 0).all()
    assert sorted([*train.texts, *validation.texts], key=int) == list(rows.texts)
