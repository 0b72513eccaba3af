from __future__ import annotations

import math

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.inference import (
    Prediction,
    Predictions,
    answers,
    rounded,
    scores_from_logits,
    targets_in_unit,
)

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
TAGS = Task(kind="multilabel", labels=("x", "y"), thresholds=(0.3, 0.7))
STARS = Task(kind="regression", target_mean=3.0, target_scale=0.5)


def logits(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_softmax_by_hand():
    total = math.exp(1) + math.exp(2) + math.exp(3)
    expected = [[math.exp(1) / total, math.exp(2) / total, math.exp(3) / total]]
    found = scores_from_logits(TOPICS, logits([1, 2, 3]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert answers(TOPICS, found) == ["c"]


def test_temperature_divides_the_logits():
    warm = Task(kind="classification", labels=("a", "b", "c"), temperature=2.0)
    np.testing.assert_array_equal(
        scores_from_logits(warm, logits([2, 4, 6])), scores_from_logits(TOPICS, logits([1, 2, 3]))
    )
    tags = Task(kind="multilabel", labels=("x",), temperature=0.5)
    np.testing.assert_allclose(scores_from_logits(tags, logits([1])), [[1 / (1 + math.exp(-2))]], rtol=1e-6)


def test_each_label_has_its_temperature():
    warm = Task(kind="multilabel", labels=("x", "y"), temperatures=(2.0, 0.5))
    found = scores_from_logits(warm, logits([2, 1], [-4, 0]))
    plain = scores_from_logits(Task(kind="multilabel", labels=("x", "y")), logits([1, 2], [-2, 0]))
    np.testing.assert_array_equal(found, plain)
    assert found.dtype == np.float32 and scores_from_logits(warm, logits()).shape == (0, 2)


def test_huge_logits_give_probabilities():
    found = scores_from_logits(TOPICS, logits([1e30, -1e30, 0], [-500, -500, -500]))
    np.testing.assert_allclose(found, [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    assert scores_from_logits(TAGS, logits([1e30, -1e30])).tolist() == [[1, 0]]


def test_binary_is_a_softmax_of_two():
    task = Task(kind="binary", labels=("no", "yes"))
    found = scores_from_logits(task, logits([0, math.log(3)], [5, 0]))
    np.testing.assert_allclose(found[0], [0.25, 0.75], rtol=1e-6)
    assert answers(task, found) == ["yes", "no"]


def test_each_label_has_its_threshold():
    log_odds = [math.log(p / (1 - p)) for p in (0.31, 0.29, 0.69, 0.71)]
    found = scores_from_logits(TAGS, logits([log_odds[0], log_odds[2]], [log_odds[1], log_odds[3]], [9, 9]))
    np.testing.assert_allclose(found[:2], [[0.31, 0.69], [0.29, 0.71]], rtol=1e-5)
    assert answers(TAGS, found) == [("x",), ("y",), ("x", "y")]
    plain = Task(kind="multilabel", labels=("x", "y"))
    half = scores_from_logits(plain, logits([0, -0.01], [-1, -1]))
    assert answers(plain, half) == [("x",), ()], "a label is given from its threshold on"


def test_numbers_get_their_unit_back():
    found = scores_from_logits(STARS, logits([2], [-1]))
    assert found.shape == (2,) and found.dtype == np.float64
    assert found.tolist() == [4.0, 2.5] and answers(STARS, found) == [4.0, 2.5]
    np.testing.assert_array_equal(targets_in_unit(STARS, np.array([2, -1], dtype=np.float32)), [4.0, 2.5])
    classes = np.array([1, 0])
    assert targets_in_unit(TOPICS, classes) is classes


def test_numbers_beside_a_large_mean_stay_apart():
    times = Task(kind="regression", target_mean=1.7e9, target_scale=11.0)
    found = scores_from_logits(times, logits([-1], [0.125], [0.13]))
    assert found.tolist() == [1.7e9 - 11, 1.7e9 + 1.375, pytest.approx(1.7e9 + 1.43, abs=1e-6)]
    assert [rounded(times, number) for number in answers(times, found)][2] == 1.7e9 + 1.43


@pytest.mark.parametrize(
    ("scale", "digits", "text"),
    [(1.0, 7, "0.3"), (0.001, 7, "0.3000000119"), (1.0, 4, "0.3"), (1e7, 7, "0.0")],
)
def test_digits_that_mean_nothing_are_left_out(scale, digits, text):
    task = Task(kind="regression", target_scale=scale)
    assert str(rounded(task, float(np.float32(0.3)), digits)) == text


@pytest.mark.parametrize(("task", "shape"), [(TOPICS, (0, 3)), (TAGS, (0, 2)), (STARS, (0,))])
def test_no_texts_have_no_scores(task, shape):
    found = scores_from_logits(task, np.empty((0, 0), dtype=np.float32))
    assert found.shape == shape and found.dtype == (np.float64 if task is STARS else np.float32)
    assert answers(task, found) == []


def predictions_of(task: Task, scores: list[object]) -> Predictions:
    rows = len(scores)
    return Predictions(
        task=task,
        scores=np.array(scores, dtype=np.float32),
        num_tokens=np.arange(3, 3 + rows, dtype=np.int32),
        truncated=np.arange(rows) % 2 == 1,
        num_unknown=np.arange(rows, dtype=np.int32) * 10,
    )


def test_rows_slices_and_iteration():
    found = predictions_of(TOPICS, [[0.5, 0.25, 0.25], [0, 0.75, 0.25], [0, 0, 1]])
    assert len(found) == 3 and found.answers == ["a", "b", "c"]
    second = Prediction(
        answer="b",
        probabilities={"a": 0.0, "b": 0.75, "c": 0.25},
        num_tokens=4,
        truncated=True,
        num_unknown=10,
    )
    assert found[1] == found[-2] == found[np.int64(1)] == second
    assert found[1:] == [second, found[2]] and found[::-1] == [found[2], second, found[0]]
    assert list(found) == [found[0], second, found[2]] and second in found and found.index(second) == 1
    assert [type(value) for value in vars(second).values()] == [str, dict, int, bool, int]
    with pytest.raises(IndexError):
        found[3]


def test_rows_of_other_tasks():
    assert predictions_of(TAGS, [[0.4, 0.6]])[0].answer == ("x",)
    number = predictions_of(STARS, [2.5, 3.5])[1]
    assert number.answer == 3.5 and number.probabilities == {}
