"""Metrics against numbers computed by hand, and what becomes of undefined ones."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bertblocks.blocks import Task
from bertblocks.errors import ConfigError, DataError, ShapeError
from bertblocks.evaluation import (
    Metrics,
    compute_metrics,
    higher_is_better,
    metric_names,
    primary_metric,
    selection_metric,
    selection_metrics,
)

THREE = Task(kind="classification", labels=("cat", "dog", "owl"))
YES_NO = Task(kind="binary", labels=("no", "yes"))
TAGS = Task(kind="multilabel", labels=("red", "big"), thresholds=(0.3, 0.5))
NUMBER = Task(kind="regression", target_mean=100.0, target_scale=7.0)

KINDS = ("classification", "binary", "multilabel", "regression")


def random_rows(task, num_rows=40, seed=0):
    rng = np.random.default_rng(seed)
    if task.kind == "regression":
        targets = rng.normal(100, 7, num_rows)
        return targets, (targets + rng.normal(0, 3, num_rows)).astype(np.float32)
    if task.kind == "multilabel":
        shape = (num_rows, task.num_outputs)
        return rng.integers(0, 2, shape).astype(np.float32), rng.random(shape, dtype=np.float32)
    scores = rng.random((num_rows, task.num_outputs), dtype=np.float32)
    return rng.integers(0, task.num_outputs, num_rows), scores / scores.sum(axis=1, keepdims=True)


def test_classification_by_hand():
    # cat → cat, cat → dog, dog → dog, owl → dog
    scores = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.5, 0.4], [0.2, 0.5, 0.3]], dtype=np.float32)
    found = compute_metrics(THREE, targets=np.array([0, 0, 1, 2]), scores=scores)
    cat, dog, owl = found.per_class
    assert (cat.precision, cat.recall, cat.support) == (1.0, 0.5, 2)
    assert (dog.precision, dog.recall, dog.support) == (pytest.approx(1 / 3), 1.0, 1)
    assert (owl.precision, owl.recall, owl.f1, owl.support) == (None, 0.0, 0.0, 1)
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["weighted_f1"] == pytest.approx((2 * 2 / 3 + 1 / 2 + 0) / 4)
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.2, 0.5, 0.3]).mean(), rel=1e-6)


def test_binary_by_hand():
    # The positive scores in the order of the truth no, no, yes, yes: 3 of 4 pairs are in the right order.
    positive = np.array([0.1, 0.6, 0.4, 0.9])
    found = compute_metrics(
        YES_NO, targets=np.array([0, 0, 1, 1]), scores=np.stack([1 - positive, positive], axis=1)
    )
    assert (found["precision"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    assert found["roc_auc"] == 0.75
    # Ranks 1 and 3 are positive: (1/1 + 2/3) / 2.
    assert found["average_precision"] == pytest.approx(5 / 6)


def test_multilabel_by_hand_uses_the_task_thresholds():
    targets = np.array([[1, 0], [1, 1], [0, 1]], dtype=np.float32)
    scores = np.array([[0.3, 0.4], [0.2, 0.9], [0.4, 0.5]], dtype=np.float32)
    # Given: red / big / red and big. Red: one of two given is right; big: both given are right.
    found = compute_metrics(TAGS, targets=targets, scores=scores)
    red, big = found.per_class
    assert (red.precision, red.recall, red.support) == (0.5, 0.5, 2)
    assert (big.precision, big.recall, big.support) == (1.0, 1.0, 2)
    assert found["micro_f1"] == 0.75
    assert found["macro_f1"] == 0.75
    assert found["subset_accuracy"] == pytest.approx(1 / 3)
    right = [0.3, 0.6, 0.2, 0.9, 0.6, 0.5]
    assert found["log_loss"] == pytest.approx(-np.log(right).mean(), rel=1e-6)


def test_multilabel_with_a_single_label():
    task = Task(kind="multilabel", labels=("only",))
    found = compute_metrics(
        task, targets=np.array([[1.0], [0.0], [1.0]]), scores=np.array([[0.9], [0.8], [0.1]])
    )
    assert [row.label for row in found.per_class] == ["only"]
    assert (found["micro_precision"], found["micro_recall"], found["micro_f1"]) == (0.5, 0.5, 0.5)
    assert found.per_class[0].support == 2


def test_macro_average_precision_by_hand_needs_no_threshold():
    # Red: ranks 1 and 3 of 3 are right, (1/1 + 2/3) / 2; big: the first two are; every row is old.
    task = Task(kind="multilabel", labels=("red", "big", "old", "new"))
    targets = np.array([[1, 0, 1, 0], [1, 1, 1, 0], [0, 1, 1, 0]])
    scores = np.array([[0.03, 0.1, 0.3, 0.1], [0.01, 0.3, 0.2, 0.1], [0.02, 0.2, 0.1, 0.1]])
    found = compute_metrics(task, targets=targets, scores=scores)
    assert found["macro_average_precision"] == pytest.approx((5 / 6 + 1) / 2)
    assert found["micro_f1"] == 0.0
    red_alone = compute_metrics(
        Task(kind="multilabel", labels=("red",)), targets=targets[:, :1], scores=scores[:, :1]
    )
    assert red_alone["macro_average_precision"] == pytest.approx(5 / 6)
    none_told_apart = compute_metrics(
        Task(kind="multilabel", labels=("old", "new")), targets=targets[:, 2:], scores=scores[:, 2:]
    )
    assert none_told_apart["macro_average_precision"] is None


def test_multilabel_where_nothing_is_true_or_given():
    found = compute_metrics(TAGS, targets=np.zeros((3, 2)), scores=np.full((3, 2), 0.1))
    assert found["micro_f1"] is None
    assert found["macro_f1"] is None
    assert found["subset_accuracy"] == 1.0


def test_regression_by_hand():
    found = compute_metrics(
        NUMBER, targets=np.array([1.0, 2.0, 3.0, 4.0]), scores=np.array([1.0, 3.0, 2.0, 6.0])
    )
    assert found["mae"] == 1.0
    assert found["rmse"] == pytest.approx(math.sqrt(6 / 4))
    assert found["r2"] == pytest.approx(1 - 6 / 5)
    # Deviations (-1.5, -.5, .5, 1.5) and (-2, 0, -1, 3): 7 / sqrt(5 * 14).
    assert found["pearson"] == pytest.approx(7 / math.sqrt(70))
    # One exchange of neighbours among four: 1 - 6 * 2 / (4 * 15).
    assert found["spearman"] == pytest.approx(0.8)


def test_macro_f1_is_that_of_scikit_learn_when_classes_are_missing():
    task = Task(kind="classification", labels=tuple("abcdef"))
    rng = np.random.default_rng(3)
    for num_rows in (1, 2, 5, 30):
        targets, scores = rng.integers(0, 3, num_rows), rng.dirichlet(np.ones(6), num_rows)
        found = compute_metrics(task, targets=targets, scores=scores)
        expected = f1_score(targets, scores.argmax(axis=1), average="macro", zero_division=0)
        assert found["macro_f1"] == pytest.approx(expected)


def test_a_label_that_nobody_has_or_is_given_leaves_macro_f1_alone():
    scores = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0]])
    found = compute_metrics(THREE, targets=np.array([0, 1]), scores=scores)
    assert found["macro_f1"] == 1.0
    assert found.per_class[2].f1 is None


@pytest.mark.parametrize("truth", [0, 1])
def test_one_class_only_leaves_the_ranking_undefined(truth):
    found = compute_metrics(
        YES_NO, targets=np.full(3, truth), scores=np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    )
    assert found["roc_auc"] is None
    assert found["average_precision"] is None
    assert found["accuracy"] == pytest.approx(1 / 3 if truth else 2 / 3)


def test_constant_targets_have_no_correlation():
    found = compute_metrics(NUMBER, targets=np.full(3, 0.1), scores=np.array([0.1, 0.2, 0.3]))
    assert (found["pearson"], found["spearman"], found["r2"]) == (None, None, None)
    assert found["mae"] == pytest.approx(0.1)


def test_numbers_far_from_zero_have_a_correlation():
    targets = 1e15 + np.arange(6.0)
    found = compute_metrics(NUMBER, targets=targets, scores=targets[[1, 0, 2, 3, 5, 4]])
    assert found["pearson"] == pytest.approx(found["spearman"]) == pytest.approx(31 / 35)


@pytest.mark.parametrize("wobble", [0.0, 1e-9])
def test_constant_answers_have_no_correlation_but_a_poor_r2(wobble):
    scores = 1e6 + wobble * np.arange(3)
    found = compute_metrics(NUMBER, targets=np.array([1.0, 2.0, 3.0]), scores=scores)
    assert (found["pearson"], found["spearman"]) == (None, None)
    assert found["r2"] < 0


@pytest.mark.parametrize("task", [THREE, YES_NO, TAGS, NUMBER], ids=KINDS)
def test_a_single_row_is_enough(task):
    targets, scores = random_rows(task, num_rows=1)
    found = compute_metrics(task, targets=targets, scores=scores)
    assert found.num_rows == 1
    if task.kind == "regression":
        assert found["rmse"] == pytest.approx(found["mae"])
        assert found["pearson"] is None


@pytest.mark.parametrize("task", [THREE, YES_NO, TAGS, NUMBER], ids=KINDS)
def test_names_and_json(task):
    targets, scores = random_rows(task)
    found = compute_metrics(task, targets=targets, scores=scores)
    assert tuple(found.values) == metric_names(task.kind)
    assert metric_names(task.kind)[0] == primary_metric(task.kind)
    assert selection_metrics(task.kind)[0] == "loss"
    assert Metrics.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_stored_metrics_with_foreign_keys_are_refused():
    stored = {"num_rows": 1, "values": {}, "per_class": [], "colour": "blue"}
    with pytest.raises(DataError, match="unknown: \\['colour'\\]"):
        Metrics.from_json(stored)
    with pytest.raises(DataError, match="missing: \\['per_class'\\]"):
        Metrics.from_json({"num_rows": 1, "values": {}})


def test_direction_of_every_metric():
    lower = {name for kind in KINDS for name in selection_metrics(kind) if not higher_is_better(name)}
    assert lower == {"loss", "log_loss", "mae", "rmse"}
    with pytest.raises(ConfigError, match="'acuracy' is unknown; choose one of accuracy"):
        higher_is_better("acuracy")


def test_long_tables_are_computed_in_slices(monkeypatch):
    targets, scores = random_rows(THREE, num_rows=100)
    whole = compute_metrics(THREE, targets=targets, scores=scores)
    monkeypatch.setattr("bertblocks.evaluation.metrics._LOG_LOSS_CELLS", 30)
    assert compute_metrics(THREE, targets=targets, scores=scores)["log_loss"] == pytest.approx(
        whole["log_loss"]
    )


def test_half_precision_probabilities_are_taken():
    targets, scores = random_rows(THREE)
    rough = compute_metrics(THREE, targets=targets, scores=scores.astype(np.float16))
    assert rough["log_loss"] == pytest.approx(
        compute_metrics(THREE, targets=targets, scores=scores)["log_loss"], rel=1e-2
    )


GOOD = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])


@pytest.mark.parametrize(
    ("targets", "scores"),
    [
        (np.array([0]), GOOD),
        (np.array([0, 1]), GOOD[:, :2]),
        (np.array([0, 1]), GOOD[:, 0]),
        (np.array([[0], [1]]), GOOD),
        (np.array(0), np.array(0.5)),
    ],
)
def test_shapes_that_do_not_fit(targets, scores):
    with pytest.raises(ShapeError, match="classification task with 3 outputs needs targets of shape"):
        compute_metrics(THREE, targets=targets, scores=scores)


@pytest.mark.parametrize(
    ("targets", "scores", "message"),
    [
        (np.array([0, 3]), GOOD, "1 targets are not among the 3 labels .0 to 2., the first 3 in row 1"),
        (np.array([-1, 0]), GOOD, "the first -1 in row 0"),
        (np.array([0.0, 1.0]), GOOD, "positions of labels, integers"),
        (np.array(["cat", "dog"]), GOOD, "must be numbers"),
        (np.array([0, 1]), GOOD * np.nan, "6 scores are not finite numbers, the first nan in row 0"),
        (np.array([0, 1]), GOOD * 4 - 2, "logits"),
        (np.array([0, 1]), GOOD / 2, "2 rows of probabilities do not add up to 1, the first 0.5 in row 0"),
        (np.array([0, 1]), GOOD.astype(str), "scores are of type"),
    ],
)
def test_values_that_cannot_be(targets, scores, message):
    with pytest.raises(DataError, match=message):
        compute_metrics(THREE, targets=targets, scores=scores)


def test_all_problems_are_named_together():
    with pytest.raises(DataError) as caught:
        compute_metrics(THREE, targets=np.array([0, 9]), scores=GOOD + np.inf)
    assert "labels" in str(caught.value)
    assert "finite" in str(caught.value)


def test_wrong_values_of_the_other_tasks():
    with pytest.raises(DataError, match=r"1 targets are neither 0 nor 1, the first 0\.5 in row 1"):
        compute_metrics(TAGS, targets=np.array([[0, 1], [0.5, 1]]), scores=np.full((2, 2), 0.5))
    with pytest.raises(DataError, match="targets are not finite"):
        compute_metrics(NUMBER, targets=np.array([1.0, np.nan]), scores=np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="no rows"):
        compute_metrics(NUMBER, targets=np.array([]), scores=np.array([]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_epoch_is_chosen_by_the_primary_metric_but_for_several_labels(kind):
    expected = "macro_average_precision" if kind == "multilabel" else primary_metric(kind)
    assert selection_metric(kind) == expected
    assert expected in selection_metrics(kind) and higher_is_better(expected)
