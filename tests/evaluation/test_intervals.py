"""95 % intervals: they hold what they should in so many of 100 cases, and are the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.evaluation import compute_metrics, intervals
from bertblocks.evaluation.intervals import group_interval, metric_intervals

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
LABELS = Task(kind="multilabel", labels=("x", "y"))
NUMBER = Task(kind="regression")


def classified(num_rows, share_right, seed=0):
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, num_rows)
    right = random.random(num_rows) < share_right
    answers = np.where(right, targets, (targets + 1) % 3)
    return targets, np.eye(3)[answers] * 0.7 + 0.1


def correlated(num_rows, seed=0):
    random = np.random.default_rng(seed)
    truth = random.normal(size=num_rows)
    return truth, truth + random.normal(size=num_rows)


def found(task, targets, scores):
    metrics = compute_metrics(task, targets=targets, scores=scores)
    return metrics, metric_intervals(task, targets, scores, metrics)


def test_every_metric_lies_in_its_interval_and_seeds_repeat():
    for task, (targets, scores) in ((TOPICS, classified(300, 0.8)), (NUMBER, correlated(300))):
        metrics, ends = found(task, targets, scores)
        assert set(ends) == set(metrics.values)
        for name, interval in ends.items():
            assert interval.low < metrics[name] < interval.high, name
        assert ends == found(task, targets, scores)[1]


def test_shares_have_wilsons_interval():
    targets, scores = classified(50, 1.0)
    _, ends = found(TOPICS, targets, scores)
    # Of 50 right out of 50, by hand: 1 / (1 + z² / n) with z = 1.959964.
    assert ends["accuracy"].low == pytest.approx(1 / (1 + 1.959964**2 / 50), abs=1e-6)
    assert ends["accuracy"].high == pytest.approx(1.0)


def test_the_interval_holds_the_true_value_about_95_times_of_100(monkeypatch):
    monkeypatch.setattr(intervals, "_NUM_DRAWS", 100)
    held = 0
    for seed in range(60):
        targets, scores = correlated(80, seed)
        ends = found(NUMBER, targets, scores)[1]
        held += ends["mae"].low <= np.sqrt(2 / np.pi) <= ends["mae"].high
    # 50 and more is where 95 % lands in 999 of 1,000 such trials.
    assert held >= 50


def test_few_of_many_rows_are_drawn_and_give_the_width_of_all(monkeypatch):
    targets, scores = correlated(4_000)
    _, whole = found(NUMBER, targets, scores)
    monkeypatch.setattr(intervals, "_MOST_DRAWN", 500)
    _, scaled = found(NUMBER, targets, scores)
    for name in whole:
        widths = [ends[name].high - ends[name].low for ends in (whole, scaled)]
        assert widths[1] == pytest.approx(widths[0], rel=0.2), name


def test_what_is_undefined_has_no_interval():
    targets, scores = np.zeros(20), np.linspace(0, 1, 20)
    _, ends = found(NUMBER, targets, scores)
    assert "pearson" not in ends and "mae" in ends
    assert found(NUMBER, targets[:1], scores[:1])[1] == {}


@pytest.mark.parametrize("num_rows", [2, 5, 60])
def test_groups(num_rows):
    random = np.random.default_rng(1)
    cases = {
        TOPICS: classified(num_rows, 0.7),
        LABELS: (random.integers(0, 2, (num_rows, 2)), random.random((num_rows, 2)).astype(np.float32)),
        NUMBER: correlated(num_rows),
    }
    for task, (targets, scores) in cases.items():
        metrics = compute_metrics(task, targets=targets, scores=scores)
        interval = group_interval(task, targets, scores, metrics)
        if task is NUMBER and num_rows < 4:
            assert interval is None
        else:
            primary = next(iter(metrics.values.values()))
            assert interval is not None and interval.low <= primary <= interval.high
