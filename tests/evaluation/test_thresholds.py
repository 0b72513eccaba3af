from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bertblocks.blocks import Task
from bertblocks.errors import ShapeError
from bertblocks.evaluation import compute_metrics, measure_baseline, tunable_labels, tune_thresholds
from bertblocks.inference import answers
from tiny_tables import label_lists


def columns(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def random_rows(seed, num_rows=60, num_labels=4, decimals=2):
    random = np.random.default_rng(seed)
    targets = (random.random((num_rows, num_labels)) < [0.2, 0.5, 0.7, 0.3]).astype(np.float32)
    scores = np.clip(0.3 * targets + random.random((num_rows, num_labels)) * 0.6, 0, 1)
    return targets, np.round(scores, decimals).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("decimals", [1, 2, 7])
def test_no_other_threshold_has_a_better_f1_or_as_good_a_one_nearer_to_a_half(seed, decimals):
    targets, scores = random_rows(seed, decimals=decimals)
    for label, threshold in enumerate(tune_thresholds(targets, scores)):
        truth, column = targets[:, label], scores[:, label]
        found = f1_score(truth, column >= np.float32(threshold))
        values = np.unique(column)
        for other in [*values, *((values[1:] + values[:-1]) / 2), 0.5]:
            f1 = f1_score(truth, column >= np.float32(other))
            assert f1 <= found
            if f1 == found and abs(other - 0.5) < abs(threshold - 0.5):
                # Nearer only within the same gap between two probabilities.
                assert ((column >= np.float32(other)) == (column >= np.float32(threshold))).all()


def test_by_hand():
    # Ten rows with the label from 0.2 on, and ten without up to 0.1.
    having = np.linspace(0.2, 0.29, 10)
    lacking = np.linspace(0.01, 0.1, 10)
    targets = columns([1] * 10 + [0] * 10).T
    (threshold,) = tune_thresholds(targets, np.concatenate([having, lacking])[:, None])
    assert threshold == pytest.approx(0.15)
    # The same far above a half, where half way would be 0.45 and 0.5 is as good.
    (threshold,) = tune_thresholds(targets, np.concatenate([having + 0.5, lacking + 0.1])[:, None])
    assert threshold == 0.5
    # Nothing tells the rows apart: to give all of them the label is best, and 0.5 does not give it.
    (threshold,) = tune_thresholds(targets, np.full((20, 1), 0.3))
    assert 0 < threshold < 0.3


def test_labels_of_few_rows_stay_at_a_half():
    targets = np.zeros((30, 3), dtype=np.float32)
    targets[:9, 0] = targets[:10, 1] = targets[:21, 2] = 1
    assert tunable_labels(targets).tolist() == [False, True, False]
    thresholds = tune_thresholds(targets, np.where(targets > 0, 0.3, 0.1).astype(np.float32))
    assert thresholds[0] == thresholds[2] == 0.5 and 0.1 < thresholds[1] < 0.3


def test_neighbours_in_floating_point_are_told_apart():
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    targets = columns([1] * 10 + [0] * 10).T
    scores = np.array([high] * 10 + [low] * 10, dtype=np.float32)[:, None]
    thresholds = tune_thresholds(targets, scores)
    task = Task(kind="multilabel", labels=("a",), thresholds=thresholds)
    assert answers(task, scores) == [("a",)] * 10 + [()] * 10
    assert compute_metrics(task, targets=targets, scores=scores)["micro_f1"] == 1.0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_probabilities_at_the_ends(value):
    targets = columns([1] * 10 + [0] * 10).T
    thresholds = tune_thresholds(targets, np.full((20, 1), value, dtype=np.float32))
    assert 0 <= thresholds[0] <= 1
    Task(kind="multilabel", labels=("a",), thresholds=thresholds)


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"\(3, 2\) and \(3,\)"):
        tune_thresholds(np.zeros((3, 2)), np.zeros(3))


def test_the_baseline_is_tuned_like_the_model():
    texts, lists = label_lists(120)
    targets = np.array([["CAT" in row, "DOG" in row] for row in lists], dtype=np.float32)
    task = Task(kind="multilabel", labels=("CAT", "DOG"))
    rows = {"train_texts": texts[:40], "train_targets": targets[:40]}
    rows |= {"test_texts": texts[40:], "test_targets": targets[40:]}
    plain = measure_baseline(task, **rows).metrics
    tuned = measure_baseline(task, **rows, tune=True).metrics
    for before, after in zip(plain.per_class, tuned.per_class, strict=True):
        assert after.f1 >= before.f1
