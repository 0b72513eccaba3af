"""Intervals of differences, and paired tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score, mean_absolute_error

from bertblocks.blocks import Task
from bertblocks.errors import ShapeError
from bertblocks.evaluation.metrics import compute_metrics
from bertblocks.evaluation.paired import (
    COMPARED,
    group_difference,
    holm,
    metric_differences,
    paired_test,
    row_figures,
)

TASKS = {
    "classification": Task(kind="classification", labels=("a", "b", "c")),
    "binary": Task(kind="binary", labels=("no", "yes")),
    "multilabel": Task(kind="multilabel", labels=("x", "y"), thresholds=(0.4, 0.6)),
    "regression": Task(kind="regression"),
}


def rows_of(task, num_rows, noise, seed=0):
    """Truth, and scores that hit it the less the more noise there is."""
    truth, blur = np.random.default_rng(7), np.random.default_rng(seed)
    if task.kind == "regression":
        targets = truth.normal(size=num_rows)
        return targets, targets + noise * blur.normal(size=num_rows)
    shape = (num_rows, len(task.labels))
    if task.kind == "multilabel":
        targets = truth.integers(0, 2, shape)
        scores = np.clip(targets * 0.5 + 0.25 + noise * blur.normal(size=shape), 0, 1)
        return targets.astype(np.float32), scores.astype(np.float32)
    targets = truth.integers(0, len(task.labels), num_rows)
    logits = 2 * np.eye(len(task.labels))[targets] + noise * blur.normal(size=shape)
    powers = np.exp(logits)
    return targets, (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", TASKS)
def test_differences_of_every_metric(kind):
    task = TASKS[kind]
    targets, good = rows_of(task, 400, 0.3, seed=1)
    _, bad = rows_of(task, 400, 1.5, seed=2)
    metrics = [compute_metrics(task, targets=targets, scores=scores) for scores in (good, bad)]
    (found,) = metric_differences([task] * 2, targets, [good, bad], metrics)
    assert list(found) == list(metrics[0].values)
    for name, difference in found.items():
        assert difference.value == metrics[1][name] - metrics[0][name]
        assert difference.interval.low <= difference.value <= difference.interval.high
        # So different models are told apart by every metric.
        assert difference.interval.low * difference.interval.high > 0
    (again,) = metric_differences([task] * 2, targets, [good, bad], metrics)
    assert again == found
    (other,) = metric_differences([task] * 2, targets, [good, bad], metrics, seed=1)
    assert other != found


def test_an_interval_is_that_of_the_paired_differences():
    task = TASKS["classification"]
    targets, one = rows_of(task, 2_000, 1.0, seed=1)
    two = np.where(np.random.default_rng(0).random(2_000)[:, None] < 0.9, one, rows_of(task, 2_000, 2.0)[1])
    metrics = [compute_metrics(task, targets=targets, scores=scores) for scores in (one, two)]
    (found,) = metric_differences([task] * 2, targets, [one, two], metrics)
    step = (two.argmax(axis=1) == targets).astype(float) - (one.argmax(axis=1) == targets)
    half_width = 1.96 * step.std() / np.sqrt(len(step))
    interval = found["accuracy"].interval
    assert interval.high - interval.low == pytest.approx(2 * half_width, rel=0.15)


def test_of_many_rows_some_are_drawn_and_the_interval_is_that_of_all(monkeypatch):
    task = TASKS["regression"]
    targets, one = rows_of(task, 3_000, 1.0, seed=1)
    _, two = rows_of(task, 3_000, 1.1, seed=2)
    metrics = [compute_metrics(task, targets=targets, scores=scores) for scores in (one, two)]
    monkeypatch.setattr("bertblocks.evaluation.paired._MOST_DRAWN", 3_000)
    (whole,) = metric_differences([task] * 2, targets, [one, two], metrics)
    monkeypatch.setattr("bertblocks.evaluation.paired._MOST_DRAWN", 1_000)
    (part,) = metric_differences([task] * 2, targets, [one, two], metrics)
    for name in ("mae", "rmse", "pearson"):
        widths = [found[name].interval.high - found[name].interval.low for found in (whole, part)]
        assert widths[1] == pytest.approx(widths[0], rel=0.2)


def test_one_row_and_undefined_metrics_have_no_interval():
    task = TASKS["regression"]
    targets, scores = np.array([1.0]), [np.array([2.0]), np.array([3.0])]
    metrics = [compute_metrics(task, targets=targets, scores=of_model) for of_model in scores]
    (found,) = metric_differences([task] * 2, targets, scores, metrics)
    assert (found["mae"].value, found["mae"].interval) == (1.0, None)
    assert (found["pearson"].value, found["pearson"].interval) == (None, None)


def test_rows_judged_one_by_one_make_the_metric():
    for kind, task in TASKS.items():
        targets, scores = rows_of(task, 200, 1.0)
        found = row_figures(task, targets, scores)
        metrics = compute_metrics(task, targets=targets, scores=scores)
        assert found.value() == pytest.approx(metrics[COMPARED[kind]])
    task = TASKS["multilabel"]
    targets, scores = rows_of(task, 50, 1.0)
    given = scores >= np.array([0.4, 0.6], dtype=np.float32)
    expected = [f1_score(a, b, zero_division=1) for a, b in zip(targets, given, strict=True)]
    np.testing.assert_allclose(row_figures(task, targets, scores).quality, expected)
    task = TASKS["regression"]
    targets, scores = rows_of(task, 50, 1.0)
    quality = row_figures(task, targets, scores).quality
    assert -quality.mean() == pytest.approx(mean_absolute_error(targets, scores))


@pytest.mark.parametrize("kind", TASKS)
def test_the_difference_of_a_group(kind):
    task = TASKS[kind]
    targets, good = rows_of(task, 300, 0.3, seed=1)
    _, bad = rows_of(task, 300, 1.5, seed=2)
    first, other = (row_figures(task, targets, scores) for scores in (good, bad))
    rows = np.arange(0, 300, 3)
    found = group_difference(first, other, rows)
    metrics = [
        compute_metrics(task, targets=targets[rows], scores=scores[rows])[COMPARED[kind]]
        for scores in (good, bad)
    ]
    assert found.value == pytest.approx(metrics[1] - metrics[0])
    assert found.interval.low < found.value < found.interval.high
    assert found == group_difference(first, other, rows)
    assert group_difference(first, other, rows[:1]).interval is None


def test_a_group_without_labels_has_no_micro_f1():
    task = TASKS["multilabel"]
    nothing = np.zeros((5, 2), dtype=np.float32)
    figures = row_figures(task, nothing, nothing)
    found = group_difference(figures, figures, np.arange(5))
    assert (found.value, found.interval) == (None, None) and figures.quality.tolist() == [1.0] * 5


class TestPairedTest:
    def test_mcnemar_by_hand(self):
        # The other alone is right for 8 rows, the first alone for 1; what both answer alike does not matter.
        first = np.array([0] * 8 + [1] + [1] * 50 + [0] * 20, dtype=float)
        other = np.array([1] * 8 + [0] + [1] * 50 + [0] * 20, dtype=float)
        found = paired_test("binary", first, other)
        assert (found.num_better, found.num_worse) == (8, 1)
        assert found.p_value == found.p_holm == pytest.approx(2 * (1 + 9) / 2**9)
        assert found.name == "McNemar's exact test"
        assert paired_test("classification", other, first).p_value == found.p_value

    def test_wilcoxon(self):
        random = np.random.default_rng(0)
        first, other = random.normal(size=60), random.normal(0.5, size=60)
        found = paired_test("regression", first, other)
        assert found.p_value == stats.wilcoxon(other - first).pvalue
        assert found.num_better + found.num_worse == 60
        assert paired_test("multilabel", first, other).name == found.name == "Wilcoxon's signed-rank test"

    @pytest.mark.parametrize("kind", TASKS)
    @pytest.mark.parametrize("num_rows", [0, 1, 5])
    def test_equal_answers_are_no_difference(self, kind, num_rows):
        found = paired_test(kind, np.ones(num_rows), np.ones(num_rows))
        assert (found.num_better, found.num_worse, found.p_value) == (0, 0, 1.0)

    @pytest.mark.parametrize("kind", TASKS)
    @pytest.mark.parametrize("num_rows", [1, 2, 3, 12])
    def test_few_rows(self, kind, num_rows):
        assert 0 < paired_test(kind, np.zeros(num_rows), np.ones(num_rows)).p_value <= 1

    def test_false_alarms_are_as_rare_as_they_should_be(self):
        random = np.random.default_rng(1)
        p_values = [
            paired_test("binary", *random.integers(0, 2, (2, 200)).astype(float)).p_value for _ in range(400)
        ]
        assert np.mean(np.array(p_values) < 0.05) < 0.07

    def test_other_rows(self):
        with pytest.raises(ShapeError, match=r"\(2,\) and \(3,\)"):
            paired_test("binary", np.ones(2), np.ones(3))


def test_holm_by_hand():
    assert holm([]) == [] and holm([0.3]) == [0.3]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06] * 3)
