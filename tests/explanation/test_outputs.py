from __future__ import annotations

import numpy as np
import pytest
import torch

from bertblocks.blocks import Task
from bertblocks.errors import ConfigError
from bertblocks.explanation.outputs import (
    chosen_columns,
    explained_output,
    explained_outputs,
    probability_of,
    unit_of,
)
from bertblocks.inference import scores_from_logits

LOGITS = np.random.default_rng(0).normal(0, 3, (5, 3)).astype(np.float32)


def logits_for(task: Task) -> np.ndarray:
    return np.ascontiguousarray(LOGITS[:, : task.num_outputs])


def test_it_is_the_log_odds_of_what_the_user_is_told(task):
    logits = logits_for(task)
    scores = scores_from_logits(task, logits)
    for column in range(task.num_outputs):
        found = explained_outputs(task, logits, np.full(5, column))
        if task.kind == "regression":
            assert found == pytest.approx(scores)
            assert unit_of(task) == "number" and probability_of(task, found[0]) is None
        else:
            told = scores[:, column].astype(np.float64)
            assert found == pytest.approx(np.log(told) - np.log1p(-told), rel=1e-4)
            assert probability_of(task, found[0]) == pytest.approx(told[0], rel=1e-5)
            assert unit_of(task) == "log-odds"


def test_what_moves_all_logits_of_classes_counts_for_nothing():
    task = Task(kind="classification", labels=("a", "b", "c"))
    logits = torch.from_numpy(LOGITS).requires_grad_()
    explained_output(task, logits, torch.tensor([0, 1, 2, 0, 1])).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.sum(1) == pytest.approx(torch.zeros(5), abs=1e-6)


def test_extreme_logits_stay_finite():
    task = Task(kind="classification", labels=("a", "b"))
    found = explained_outputs(task, np.array([[90.0, -90.0]], np.float32), np.array([0]))
    assert found == pytest.approx([180])
    assert probability_of(task, 180.0) == 1.0 and probability_of(task, -1e6) == 0.0


def test_the_label():
    task = Task(kind="classification", labels=("a", "b", "c"))
    assert chosen_columns(task, LOGITS, None).tolist() == LOGITS.argmax(1).tolist()
    assert chosen_columns(task, LOGITS, "c").tolist() == [2] * 5
    assert chosen_columns(task, LOGITS, list("abcab")).tolist() == [0, 1, 2, 0, 1]
    with pytest.raises(ConfigError, match="no label 'd' in this model; it has 'a', 'b', 'c'"):
        chosen_columns(task, LOGITS, "d")
    with pytest.raises(ConfigError, match="2 labels for 5 texts"):
        chosen_columns(task, LOGITS, ["a", "b"])
    with pytest.raises(ConfigError, match="a number and has no labels"):
        chosen_columns(Task(kind="regression"), LOGITS[:, :1], "a")
