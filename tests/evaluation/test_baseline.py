"""The cheap baseline: better than guessing, the same every time, and never in the way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.errors import DataError, ShapeError
from bertblocks.evaluation import BaselineResult, compute_metrics, fit_baseline, measure_baseline
from bertblocks.evaluation.baseline_features import MAX_CHARACTERS_PER_TEXT, TextFeatures

THREE = Task(kind="classification", labels=("food", "sport", "never"))
FOOD = ("bread", "soup", "apple", "rice", "面包很好吃", "ขนมปังอร่อย")
SPORT = ("ball", "match", "runner", "goal", "足球比赛", "ฟุตบอลสนุก")
FILLER = ("today", "we", "saw", "the", "new", "one", "and", "then")


def sentences(num_rows, seed):
    """Texts about food (0) or, three times as often, sport (1)."""
    rng = np.random.default_rng(seed)
    targets = (rng.random(num_rows) < 0.75).astype(np.int64)
    texts = [
        " ".join([*rng.choice(FILLER, 4), rng.choice(SPORT if target else FOOD), *rng.choice(FILLER, 2)])
        for target in targets
    ]
    return texts, targets


def test_beats_the_majority_class_in_seconds():
    texts, targets = sentences(300, seed=1)
    test_texts, test_targets = sentences(100, seed=2)
    found = measure_baseline(
        THREE, train_texts=texts, train_targets=targets, test_texts=test_texts, test_targets=test_targets
    )
    majority = max(test_targets.mean(), 1 - test_targets.mean())
    assert found.metrics["accuracy"] > majority + 0.15
    assert 0 < found.seconds < 60
    assert (found.num_train_rows, found.num_available_rows) == (300, 300)
    assert BaselineResult.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


@pytest.mark.parametrize(("food", "sport"), [("面包很好吃", "足球比赛"), ("ขนมปังอร่อย", "ฟุตบอลสนุก")])
def test_texts_without_spaces_are_read_inside(food, sport):
    baseline = fit_baseline(
        THREE, train_texts=["x" + food, "y" + sport] * 10, train_targets=np.array([0, 1] * 10)
    )
    scores = baseline.scores([food + "z", sport + "z"])
    assert list(scores.argmax(axis=1)) == [0, 1]


def test_scores_are_probabilities_and_unseen_labels_get_none():
    texts, targets = sentences(120, seed=1)
    scores = fit_baseline(THREE, train_texts=texts, train_targets=targets).scores([*texts[:50], "", "\ud800"])
    assert scores.shape == (52, 3)
    assert np.allclose(scores.sum(axis=1), 1)
    assert not scores[:, 2].any()


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_the_same_rows_give_the_same_baseline(kind):
    texts, classes = sentences(150, seed=1)
    task, targets = {
        "classification": (THREE, classes),
        "multilabel": (Task(kind="multilabel", labels=("a", "b")), np.stack([classes, 1 - classes], axis=1)),
        "regression": (Task(kind="regression"), classes * 2.5),
    }[kind]
    first, second = (
        fit_baseline(task, train_texts=texts, train_targets=targets).scores(texts[:20]) for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_chunks_are_invisible(monkeypatch):
    texts, targets = sentences(60, seed=1)
    baseline = fit_baseline(THREE, train_texts=texts, train_targets=targets)
    whole = baseline.scores(texts)
    monkeypatch.setattr("bertblocks.evaluation.baseline._CHUNK_ROWS", 7)
    assert np.allclose(baseline.scores(texts), whole, atol=1e-6)


def test_multilabel_with_labels_that_are_always_or_never_given():
    texts, classes = sentences(200, seed=1)
    ones, zeros = np.ones_like(classes), np.zeros_like(classes)
    targets = np.stack([classes, 1 - classes, ones, zeros], axis=1).astype(np.float32)
    task = Task(kind="multilabel", labels=("sport", "food", "always", "never"))
    test_texts, test_classes = sentences(100, seed=2)
    scores = fit_baseline(task, train_texts=texts, train_targets=targets).scores(test_texts)
    assert (scores[:, 2] == 1).all()
    assert (scores[:, 3] == 0).all()
    assert ((scores[:, 0] > 0.5) == test_classes).mean() > 0.9
    assert ((scores[:, 1] > 0.5) != test_classes).mean() > 0.9


def test_numbers_come_in_their_own_unit():
    texts, classes = sentences(300, seed=1)
    test_texts, test_classes = sentences(100, seed=2)
    found = measure_baseline(
        Task(kind="regression"),
        train_texts=texts,
        train_targets=1e6 + 500.0 * classes,
        test_texts=test_texts,
        test_targets=1e6 + 500.0 * test_classes,
    )
    assert found.metrics["pearson"] > 0.8
    assert found.metrics["rmse"] < 200


def test_pairs_are_judged_by_what_they_share():
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(3_000)])

    def pairs(num_rows):
        first = [rng.choice(words, 6) for _ in range(num_rows)]
        shared = rng.integers(0, 7, num_rows)
        second = [[*one[:k], *rng.choice(words, 6 - k)] for one, k in zip(first, shared, strict=True)]
        return [" ".join(one) for one in first], [" ".join(two) for two in second], shared / 6 * 5

    train_texts, train_pairs, train_targets = pairs(300)
    test_texts, test_pairs, test_targets = pairs(100)
    found = measure_baseline(
        Task(kind="regression"),
        train_texts=train_texts,
        train_pairs=train_pairs,
        train_targets=train_targets,
        test_texts=test_texts,
        test_pairs=test_pairs,
        test_targets=test_targets,
    )
    assert found.metrics["pearson"] > 0.9


def test_the_order_of_a_pair_does_not_matter():
    features = TextFeatures()
    features.fit_transform(["one day", "two"], ["a day", "three"])
    there = features.transform(["one long day"], ["the day was long"])
    back = features.transform(["the day was long"], ["one long day"])
    assert there.nnz > 10
    assert abs(there - back).max() < 1e-6


def test_only_the_beginning_of_a_long_text_is_read():
    features = TextFeatures()
    start = "word " * (MAX_CHARACTERS_PER_TEXT // 5)
    features.fit_transform([start, "other"])
    read = features.transform([start + "other", start, start[:-5] + "other"])
    assert abs(read[0] - read[1]).max() == 0
    assert abs(read[0] - read[2]).max() > 0


def test_more_than_affordable_is_a_random_part_and_said():
    texts, targets = sentences(200, seed=1)
    baseline = fit_baseline(THREE, train_texts=texts, train_targets=targets, max_characters=3_000)
    assert 20 < baseline.num_train_rows < 120
    assert baseline.num_available_rows == 200
    assert f"a random {baseline.num_train_rows} of 200 rows" in baseline.description


def test_very_many_labels_cost_passes_and_then_rows(monkeypatch):
    texts, targets = sentences(120, seed=1)
    stored = TextFeatures().fit_transform(texts).nnz * THREE.num_outputs
    monkeypatch.setattr("bertblocks.evaluation.baseline_models._MAX_WORK", stored)
    once = fit_baseline(THREE, train_texts=texts, train_targets=targets)
    assert (once.num_train_rows, once.model.model.max_iter) == (120, 1)
    monkeypatch.setattr("bertblocks.evaluation.baseline_models._MAX_WORK", stored // 2)
    half = fit_baseline(THREE, train_texts=texts, train_targets=targets)
    assert 40 < half.num_train_rows < 80


@pytest.mark.parametrize("text", ["a", "", "\x00", "🙂" * 5_000, "x" * 1_000_000])
def test_one_row_of_anything_is_enough(text):
    scores = fit_baseline(THREE, train_texts=[text], train_targets=np.array([1])).scores([text, "other"])
    assert scores.tolist() == [[0, 1, 0], [0, 1, 0]]
    number = fit_baseline(Task(kind="regression"), train_texts=[text], train_targets=np.array([2.5]))
    assert compute_metrics(Task(kind="regression"), targets=np.array([2.5]), scores=number.scores([text]))[
        "mae"
    ] == pytest.approx(0, abs=1e-6)


def test_wrong_arguments():
    texts = ["a", "b"]
    with pytest.raises(DataError, match="no rows to fit"):
        fit_baseline(THREE, train_texts=[], train_targets=np.array([], dtype=int))
    with pytest.raises(ShapeError, match=r"2 texts of a classification task need targets of shape \(2,\)"):
        fit_baseline(THREE, train_texts=texts, train_targets=np.array([0]))
    with pytest.raises(DataError, match="not among the 3 labels"):
        fit_baseline(THREE, train_texts=texts, train_targets=np.array([0, 3]))
    with pytest.raises(DataError, match="2 texts and 1 second texts"):
        fit_baseline(THREE, train_texts=texts, train_targets=np.array([0, 1]), pairs=["c"])
    baseline = fit_baseline(THREE, train_texts=texts, train_targets=np.array([0, 1]))
    with pytest.raises(DataError, match="no texts"):
        baseline.scores([])


def test_real_topics_in_several_languages(shared):
    import csv

    languages = {"eng_Latn", "deu_Latn", "zho_Hans", "tha_Thai", "swh_Latn"}
    tables = {}
    for name in ("train", "test"):
        with (shared / "data" / "sib200" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables[name] = [row for row in csv.DictReader(file) if row["language"] in languages]
    labels = sorted({row["topic"] for row in tables["train"]})
    texts = {name: [row["text"] for row in rows] for name, rows in tables.items()}
    targets = {name: np.array([labels.index(row["topic"]) for row in rows]) for name, rows in tables.items()}
    found = measure_baseline(
        Task(kind="classification", labels=tuple(labels)),
        train_texts=texts["train"],
        train_targets=targets["train"],
        test_texts=texts["test"],
        test_targets=targets["test"],
    )
    # The most frequent topic alone is 0.25.
    assert found.metrics["accuracy"] > 0.6
