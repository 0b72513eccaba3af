"""Metrics of many draws at once are those that compute_metrics gives for each draw."""

from __future__ import annotations

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.evaluation import compute_metrics
from bertblocks.evaluation.drawn_metrics import drawn_metrics

TASKS = {
    "classification": Task(kind="classification", labels=tuple("abcde")),
    "binary": Task(kind="binary", labels=("no", "yes")),
    "multilabel": Task(kind="multilabel", labels=("x", "y", "z"), thresholds=(0.4, 0.6, 0.9)),
    "one label": Task(kind="multilabel", labels=("x",)),
    "regression": Task(kind="regression"),
}


def rows_of(task, num_rows, seed, decimals):
    """Truth and scores, many of them equal where there are few decimals."""
    random = np.random.default_rng(seed)
    if task.kind == "regression":
        targets = np.round(random.normal(size=num_rows), decimals)
        return targets, np.round(targets + random.normal(size=num_rows), decimals)
    shape = (num_rows, len(task.labels))
    if task.kind == "multilabel":
        targets = (random.random(shape) < [0.5, 0.2, 0.05][: shape[1]]).astype(np.int8)
        return targets, np.round(random.random(shape), decimals).astype(np.float32)
    targets = random.choice(shape[1], num_rows, p=[0.5, *[0.5 / (shape[1] - 1)] * (shape[1] - 1)])
    scores = np.round(random.dirichlet(np.ones(shape[1]), num_rows), decimals) + 1e-3
    return targets, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize("num_rows", [3, 8, 60])
@pytest.mark.parametrize("decimals", [1, 7])
def test_each_draw_has_the_metrics_of_its_rows(kind, num_rows, decimals):
    task = TASKS[kind]
    targets, scores = rows_of(task, num_rows, seed=num_rows, decimals=decimals)
    rows = np.random.default_rng(1).integers(0, num_rows, (12, num_rows))
    found = drawn_metrics(task, targets, scores, rows)
    for draw, places in enumerate(rows):
        expected = compute_metrics(task, targets=targets[places], scores=scores[places]).values
        assert set(found) == set(expected)
        for name, value in expected.items():
            if value is None:
                assert np.isnan(found[name][draw]), (name, draw)
            else:
                assert found[name][draw] == pytest.approx(value, abs=1e-9), (name, draw)


def test_probabilities_of_0_and_1():
    task = TASKS["binary"]
    targets, scores = np.array([0, 1, 1]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    found = drawn_metrics(task, targets, scores, np.array([[0, 1, 2]]))
    expected = compute_metrics(task, targets=targets, scores=scores).values
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)
