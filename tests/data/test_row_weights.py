from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from bertblocks.blocks import Task
from bertblocks.data import RowReport, class_weights_in_loss, mean_one, open_table, read_examples, row_weights
from bertblocks.data.weights import balanced_class_weights, chosen_class_weights
from bertblocks.errors import ConfigError, DataError
from tiny_tables import write_csv

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
TAGS = Task(kind="multilabel", labels=("a", "b"))


def test_class_weights_are_scikit_learns_balanced_ones():
    targets = np.array([0, 0, 0, 1, 2, 2])
    task = Task(kind="classification", labels=("a", "b", "c"))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    weights = balanced_class_weights(targets, task)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    # A class without rows is not divided by.
    np.testing.assert_allclose(
        balanced_class_weights(targets[:4], task), [4 / (2 * 3), 4 / (2 * 1), 1], rtol=1e-6
    )


def test_class_weights_of_several_labels_set_rows_without_against_rows_with():
    task = Task(kind="multilabel", labels=("a", "b", "c"))
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=np.float32)
    np.testing.assert_allclose(balanced_class_weights(targets, task), [1 / 3, 3, 1], rtol=1e-6)
    # A label that every row has keeps its weight too.
    np.testing.assert_allclose(balanced_class_weights(targets[:3], task), [1, 2, 1], rtol=1e-6)
    with pytest.raises(ConfigError, match="no effect on a regression"):
        balanced_class_weights(np.zeros(3), Task(kind="regression"))


@pytest.mark.parametrize("task", [TOPICS, TAGS])
def test_balanced_weights_take_a_row_of_weight_two_for_two_rows(task):
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 20) if task is TOPICS else (random.random((20, 2)) < 0.3) * 1.0
    counts = random.integers(0, 4, 20)
    np.testing.assert_allclose(
        balanced_class_weights(targets, task, counts.astype(np.float32)),
        balanced_class_weights(np.repeat(targets, counts, axis=0), task),
        rtol=1e-6,
    )


def test_row_weights_are_divided_by_their_mean():
    weights = np.array([1.0, 2.0, 0.0, 5.0])
    assert mean_one(weights).tolist() == [0.5, 1.0, 0.0, 2.5] and mean_one(weights).dtype == np.float32
    for factor in (2.0, 0.1, 1e-300, 1e300):
        np.testing.assert_array_equal(mean_one(weights * factor), mean_one(weights))
    for value in (1.0, 0.1, 1e308):
        assert mean_one(np.full(7, value)).tolist() == [1.0] * 7


def test_chosen_class_weights_have_a_mean_of_one_over_the_rows():
    targets = np.array([0, 0, 0, 1])
    task = Task(kind="binary", labels=("no", "yes"))
    found = class_weights_in_loss({"yes": 3, "no": 1}, targets, task)
    np.testing.assert_allclose(found, [2 / 3, 2])
    assert found[targets].mean() == pytest.approx(1)
    np.testing.assert_array_equal(class_weights_in_loss({"yes": 6, "no": 2}, targets, task), found)
    # A row that counts three times counts so in the mean too.
    rows = np.array([1, 1, 1, 3], dtype=np.float32)
    assert np.average(
        class_weights_in_loss({"yes": 3, "no": 1}, targets, task, rows)[targets], weights=rows
    ) == (pytest.approx(1))
    # Of several labels a weight says something by itself.
    assert class_weights_in_loss({"b": 3, "a": 1}, np.zeros((4, 2)), TAGS).tolist() == [1, 3]
    assert class_weights_in_loss(None, targets, task) is None


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"a": 1, "b": 2}, "labels without a weight: 'c'"),
        ({"a": 1, "b": 2, "c": 1, "d": 1, "e": 1}, "unknown labels: 'd', 'e'"),
        (
            {"a": -1, "b": math.inf, "c": None},
            r"'a': expected .* -1 \(int\); 'b': .* inf .*; 'c': the weight is missing",
        ),
        ({"a": 0, "b": 0, "c": 0}, "all are 0"),
        ({}, "labels without a weight: 'a', 'b', 'c'"),
    ],
)
def test_class_weights_that_cannot_be(chosen, expected):
    with pytest.raises(ConfigError, match=expected):
        chosen_class_weights(chosen, TOPICS)


def test_class_weights_that_leave_no_row():
    with pytest.raises(ConfigError, match="no row counts"):
        class_weights_in_loss({"a": 0, "b": 1, "c": 1}, np.array([0, 0]), TOPICS)
    with pytest.raises(ConfigError, match="no effect on a regression"):
        chosen_class_weights({"a": 1}, Task(kind="regression"))


def test_row_weights_that_cannot_be():
    assert row_weights([1, 2.5, "3", 0], name="w").tolist() == [1, 2.5, 3, 0]
    with pytest.raises(
        DataError, match=r"w, row 2: .* -1 \(int\); row 3: the weight is missing; row 4: .*True"
    ):
        row_weights([1, -1, None, True, math.inf, "x", math.nan], name="w")
    with pytest.raises(DataError, match=r"row 8: .*; and 1 more\."):
        row_weights([1, 1, 1, *["x"] * 6], name="w")
    with pytest.raises(DataError, match="all 2 weights are 0"):
        row_weights([0, 0], name="w")


class TestTables:
    def read(self, tmp_path, weights, **options):
        table = write_csv(
            tmp_path / "t.csv",
            {"text": [f"t{i}" for i in range(len(weights))], "label": ["a"] * len(weights), "w": weights},
        )
        return list(read_examples(open_table(table), text="text", target="label", weight="w", **options))

    def test_each_row_has_its_weight(self, tmp_path):
        assert [row.weight for row in self.read(tmp_path, ["1", "2.5", "0"])] == [1.0, 2.5, 0.0]

    def test_bad_weights_are_named_by_row(self, tmp_path):
        with pytest.raises(
            DataError, match=r"row 2 .*column 'w': expected a weight.*row 3 .*the weight is missing"
        ):
            self.read(tmp_path, ["1", "-2", "", "nan"])

    def test_or_are_left_out(self, tmp_path):
        report = RowReport()
        found = self.read(tmp_path, ["1", "-2", "", "nan", "3"], on_bad_row="skip", report=report)
        assert [row.row for row in found] == [1, 5]
        assert report.num_skipped == {"unusable weight": 2, "missing value": 1}

    def test_the_weight_is_a_column_of_its_own(self, tmp_path):
        table = write_csv(tmp_path / "t.csv", {"text": ["a"], "label": ["1"]})
        with pytest.raises(ConfigError, match="'label' cannot be two of"):
            list(read_examples(open_table(table), text="text", target="label", weight="label"))
        with pytest.raises(DataError, match="'w'"):
            list(read_examples(open_table(table), text="text", target="label", weight="w"))

    def test_a_blank_target_beside_a_separator_is_a_row_without_labels(self, tmp_path):
        table = write_csv(tmp_path / "t.csv", {"text": ["a", "b", "c"], "label": ["x|y", "", "  "]})
        found = read_examples(open_table(table), text="text", target="label", label_separator="|")
        assert [row.target for row in found] == ["x|y", [], []]
        with pytest.raises(DataError, match=r"row 2 .*the target is missing"):
            list(read_examples(open_table(table), text="text", target="label"))
