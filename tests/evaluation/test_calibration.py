"""Temperatures and how far stated probabilities are from what is observed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from bertblocks.blocks import Task
from bertblocks.errors import DataError, ShapeError
from bertblocks.evaluation import calibrate, calibration_figures, compute_metrics, uncalibrated
from bertblocks.evaluation.calibration import MAX_TEMPERATURE, MIN_ROWS, MIN_TEMPERATURE, NUM_BINS
from bertblocks.inference import answers, scores_from_logits

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
YES_NO = Task(kind="binary", labels=("no", "yes"))
TAGS = Task(kind="multilabel", labels=("x", "y", "z"))


def classes(num_rows, *, times=1.0, labels=3, seed=0):
    """Logits whose probabilities are true, then multiplied: the temperature to find is the factor."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (num_rows, labels))
    targets = (log_softmax(logits, axis=1) + random.gumbel(size=logits.shape)).argmax(axis=1)
    return targets, (logits * times).astype(np.float32)


def tags(num_rows, *, times=(1.0, 1.0, 1.0), seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (num_rows, len(times)))
    targets = (random.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    return targets, (logits * times).astype(np.float32)


@pytest.mark.parametrize("times", [0.4, 3.0, 10.0])
@pytest.mark.parametrize("task", [TOPICS, YES_NO], ids=["classes", "yes or no"])
def test_the_temperature_that_was_put_in_is_found(task, times):
    targets, logits = classes(20_000, times=times, labels=len(task.labels))
    found = calibrate(task, targets=targets, logits=logits)
    assert found.temperature == pytest.approx(times, rel=0.05)
    assert found == replace(task, temperature=found.temperature)


def test_no_other_temperature_has_a_lower_log_loss():
    targets, logits = classes(500, times=2.5, seed=1)
    found = calibrate(TOPICS, targets=targets, logits=logits)

    def loss(temperature):
        scores = scores_from_logits(replace(TOPICS, temperature=temperature), logits).astype(np.float64)
        return log_loss(targets, scores / scores.sum(axis=1, keepdims=True))

    least = min(loss(temperature) for temperature in np.geomspace(0.5, 8, 200))
    assert loss(found.temperature) <= least + 1e-5


@pytest.mark.parametrize("task", [TOPICS, YES_NO], ids=["classes", "yes or no"])
def test_answers_stay_and_so_do_accuracy_and_f1(task):
    targets, logits = classes(400, times=4.0, labels=len(task.labels), seed=2)
    warm = calibrate(task, targets=targets, logits=logits)
    assert warm.temperature > 2
    plain_scores, warm_scores = scores_from_logits(task, logits), scores_from_logits(warm, logits)
    assert answers(task, plain_scores) == answers(warm, warm_scores)
    plain = compute_metrics(task, targets=targets, scores=plain_scores)
    calibrated = compute_metrics(warm, targets=targets, scores=warm_scores)
    assert plain.per_class == calibrated.per_class and plain["accuracy"] == calibrated["accuracy"]
    assert calibrated["log_loss"] < plain["log_loss"]


def test_each_label_gets_its_own_temperature():
    targets, logits = tags(20_000, times=(0.5, 1.0, 4.0))
    found = calibrate(TAGS, targets=targets, logits=logits)
    assert found.temperature == 1.0
    assert found.temperatures == pytest.approx((0.5, 1.0, 4.0), rel=0.08)


def test_labels_of_few_rows_share_the_temperature_of_all():
    targets, logits = tags(3_000, times=(3.0, 3.0, 3.0), seed=3)
    targets[:, 2] = 0
    targets[:9, 2] = 1
    found = calibrate(TAGS, targets=targets, logits=logits)
    flat = calibrate(
        Task(kind="multilabel", labels=("all",)), targets=targets.reshape(-1, 1), logits=logits.reshape(-1, 1)
    )
    assert found.temperatures[2] == flat.temperature
    assert found.temperatures[0] != found.temperatures[2]


def test_where_no_label_has_enough_rows_there_is_one_temperature():
    targets, logits = tags(40, times=(5.0, 5.0, 5.0), seed=4)
    targets[9:] = 0
    found = calibrate(TAGS, targets=targets, logits=-np.abs(logits))
    assert found.temperatures == () and found.temperature > 1


@pytest.mark.parametrize("num_rows", [0, 1, 2, MIN_ROWS - 1])
def test_too_few_rows_leave_it_at_one(num_rows):
    targets, logits = classes(MIN_ROWS, times=9.0)
    assert calibrate(TOPICS, targets=targets[:num_rows], logits=logits[:num_rows]) == TOPICS
    targets, logits = tags(MIN_ROWS)
    assert calibrate(TAGS, targets=targets[:num_rows], logits=logits[:num_rows]) == TAGS


def test_one_class_alone_says_nothing():
    _, logits = classes(50)
    assert calibrate(TOPICS, targets=np.full(50, 2), logits=logits) == TOPICS
    _, logits = tags(50)
    for value in (0.0, 1.0):
        targets = np.full((50, 3), value, dtype=np.float32)
        assert calibrate(TAGS, targets=targets, logits=logits) == TAGS


def test_logits_that_say_nothing_leave_it_at_one():
    targets, _ = classes(50)
    assert calibrate(TOPICS, targets=targets, logits=np.zeros((50, 3), dtype=np.float32)) == TOPICS
    targets, _ = tags(50)
    assert calibrate(TAGS, targets=targets, logits=np.zeros((50, 3), dtype=np.float32)) == TAGS


@pytest.mark.parametrize("num_rows", [MIN_ROWS, 100, 1_000])
def test_rows_that_are_all_right_ask_for_no_more_certainty_than_they_can_show(num_rows):
    targets = np.arange(num_rows) % 3
    logits = (2 * np.eye(3, dtype=np.float32))[targets]
    found = calibrate(TOPICS, targets=targets, logits=logits)
    assert MIN_TEMPERATURE < found.temperature < 1
    confidence = scores_from_logits(found, logits).max()
    # One row of these and one more might well be wrong, by the one that is reckoned in: with 2 of 3 labels.
    assert confidence == pytest.approx(1 - 2 / 3 / (num_rows + 1), abs=1e-3)


def test_answers_that_are_worse_than_none_get_even_probabilities():
    targets, logits = classes(200, seed=5)
    found = calibrate(TOPICS, targets=logits.argmin(axis=1), logits=logits * 5)
    assert found.temperature == pytest.approx(MAX_TEMPERATURE, rel=1e-3)
    assert len(targets) == 200


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_huge_and_tiny_logits(size):
    targets, logits = classes(100, seed=6)
    found = calibrate(TOPICS, targets=targets, logits=(logits * np.float32(size)))
    assert MIN_TEMPERATURE <= found.temperature <= MAX_TEMPERATURE


def test_earlier_temperatures_do_not_matter():
    targets, logits = classes(200, times=2.0)
    once = calibrate(TOPICS, targets=targets, logits=logits)
    assert calibrate(once, targets=targets, logits=logits) == once
    targets, logits = tags(200, times=(2.0, 3.0, 4.0))
    once = calibrate(TAGS, targets=targets, logits=logits)
    assert calibrate(once, targets=targets, logits=logits) == once and once.temperatures


def test_many_rows_are_fitted_to_a_part_of_them(monkeypatch):
    targets, logits = classes(30_000, times=2.0)
    whole = calibrate(TOPICS, targets=targets, logits=logits)
    monkeypatch.setattr("bertblocks.evaluation.calibration._MAX_CELLS", 30_000)
    part = calibrate(TOPICS, targets=targets, logits=logits)
    assert part.temperature == calibrate(TOPICS, targets=targets[::3], logits=logits[::3]).temperature
    assert part.temperature == pytest.approx(whole.temperature, rel=0.05)


def test_numbers_have_no_temperature():
    task = Task(kind="regression", target_mean=3.0)
    assert calibrate(task, targets=np.zeros(50), logits=np.zeros((50, 1))) is task
    assert calibration_figures(task, np.zeros(50), np.zeros(50)) is None


def test_wrong_arguments():
    targets, logits = classes(50)
    with pytest.raises(ShapeError, match=r"shape \(50,\) and logits of shape \(50, 3\), found \(50,\) and"):
        calibrate(TOPICS, targets=targets, logits=logits[:, :2])
    with pytest.raises(ShapeError, match=r"targets of shape \(50, 3\)"):
        calibrate(TAGS, targets=targets, logits=logits)
    for value in (np.nan, np.inf):
        logits[7, 1] = value
        with pytest.raises(DataError, match="not finite"):
            calibrate(TOPICS, targets=targets, logits=logits)


class TestUndoing:
    @pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 6.0])
    def test_classes(self, temperature):
        _, logits = classes(300)
        warm = replace(TOPICS, temperature=temperature)
        found = uncalibrated(warm, scores_from_logits(warm, logits).astype(np.float64))
        np.testing.assert_allclose(found, scores_from_logits(TOPICS, logits), rtol=2e-5)

    def test_labels(self):
        _, logits = tags(300)
        warm = replace(TAGS, temperatures=(0.5, 1.0, 6.0))
        found = uncalibrated(warm, scores_from_logits(warm, logits).astype(np.float64))
        np.testing.assert_allclose(found, scores_from_logits(TAGS, logits), rtol=2e-5)

    @pytest.mark.parametrize("temperature", [0.05, 20.0, 1e6])
    def test_probabilities_at_the_ends(self, temperature):
        ends = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1e-38, 1 - 1e-7, 1e-7]])
        found = uncalibrated(replace(TOPICS, temperature=temperature), ends)
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert found[0].tolist() == [1, 0, 0] and found[1].tolist() == [0.5, 0.5, 0]
        found = uncalibrated(replace(TAGS, temperature=temperature), ends)
        assert found[0].tolist() == [1, 0, 0] and found[1].tolist() == [0.5, 0.5, 0]
        assert ((found >= 0) & (found <= 1)).all()


class TestFigures:
    def by_hand(self, confidence, right):
        """The error as its source defines it, bin by bin."""
        total = 0.0
        for place in range(NUM_BINS):
            inside = (confidence > place / NUM_BINS) & (confidence <= (place + 1) / NUM_BINS)
            if inside.any():
                total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
        return total

    def test_by_hand(self):
        # Two rows of 0.9, one of them right; two of 0.6, both right.
        scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.6, 0.4]])
        found = calibration_figures(YES_NO, np.array([0, 1, 1, 0]), scores, rows="same")
        assert found.error_before == found.error_after == pytest.approx(0.5 * 0.4 + 0.5 * 0.4)
        assert [(x.num_rows, x.confidence, x.accuracy) for x in found.after] == [
            (2, pytest.approx(0.6), 1.0),
            (2, pytest.approx(0.9), 0.5),
        ]
        assert found.before == found.after and found.rows == "same"
        json.dumps(found.to_json(), allow_nan=False)

    def test_classes(self):
        targets, logits = classes(5_000, times=3.0)
        warm = calibrate(TOPICS, targets=targets, logits=logits)
        scores, plain = scores_from_logits(warm, logits), scores_from_logits(TOPICS, logits)
        found = calibration_figures(warm, targets, scores)
        for error, probabilities in ((found.error_after, scores), (found.error_before, plain)):
            right = probabilities.argmax(axis=1) == targets
            expected = self.by_hand(probabilities.max(axis=1).astype(np.float64), right)
            assert error == pytest.approx(expected, abs=1e-6)
        assert found.error_after < 0.03 < 0.1 < found.error_before and found.rows == "other"
        assert sum(x.num_rows for x in found.before) == sum(x.num_rows for x in found.after) == 5_000

    def test_several_labels_count_every_pair_of_row_and_label(self):
        targets, logits = tags(4_000, times=(3.0, 1.0, 5.0))
        warm = calibrate(TAGS, targets=targets, logits=logits)
        scores, plain = scores_from_logits(warm, logits), scores_from_logits(TAGS, logits)
        found = calibration_figures(warm, targets, scores)
        for error, probabilities in ((found.error_after, scores), (found.error_before, plain)):
            expected = self.by_hand(probabilities.ravel().astype(np.float64), targets.ravel() > 0)
            assert error == pytest.approx(expected, abs=1e-6)
        assert sum(x.num_rows for x in found.after) == 12_000

    def test_parts_and_files_give_the_same(self, monkeypatch, tmp_path):
        targets, logits = classes(1_000, times=3.0)
        warm = replace(TOPICS, temperature=3.0)
        scores = scores_from_logits(warm, logits)
        whole = calibration_figures(warm, targets, scores)
        lying = np.memmap(tmp_path / "scores", dtype=np.float32, mode="w+", shape=scores.shape)
        lying[:] = scores
        monkeypatch.setattr("bertblocks.evaluation.calibration._CHUNK_CELLS", 100)
        found = calibration_figures(warm, targets, lying)
        assert found.error_before == pytest.approx(whole.error_before)
        assert found.error_after == pytest.approx(whole.error_after)
        assert [x.num_rows for x in found.before] == [x.num_rows for x in whole.before]

    def test_no_rows(self):
        assert calibration_figures(TOPICS, np.zeros(0, dtype=int), np.zeros((0, 3))) is None

    def test_probabilities_of_0_and_1_have_a_bin(self):
        task = replace(TAGS, temperature=2.0)
        found = calibration_figures(task, np.array([[0, 1, 1]]), np.array([[0.0, 1.0, 1.0]]))
        assert found.error_after == found.error_before == 0
        assert [x.num_rows for x in found.after] == [1, 2]
