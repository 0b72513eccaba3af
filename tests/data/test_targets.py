from __future__ import annotations

import logging

import numpy as np
import pytest

from bertblocks.blocks.task import Task
from bertblocks.data.target_arrays import encode_targets
from bertblocks.data.targets import infer_task
from bertblocks.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("values", "kind", "labels"),
    [
        (["b", "a", "c", "a "], "classification", ("a", "b", "c")),
        (["x", "y"], "classification", ("x", "y")),
        (["yes", "no", "yes"], "binary", ("no", "yes")),
        (["Nein", "JA"], "binary", ("Nein", "JA")),
        (["да", "нет"], "binary", ("нет", "да")),
        (["positive", "negative", "neutral"], "classification", ("negative", "neutral", "positive")),
        (["Yes", "yes", "No", "no"], "classification", ("No", "Yes", "no", "yes")),
        ([True, False], "binary", ("false", "true")),
        (["0", "1", "1"], "binary", ("0", "1")),
        ([1.0, 0.0], "binary", ("0", "1")),
        (["10", "2", "2.0", "1"], "classification", ("1", "2", "10")),
        ([3, 1, "2", 2.0], "classification", ("1", "2", "3")),
        (["01", "2", "01"], "classification", ("01", "2")),
        ([str(i) for i in range(20)] * 2, "classification", tuple(str(i) for i in range(20))),
        ([["b", "a"], [], ["c"]], "multilabel", ("a", "b", "c")),
        ([[3, 10], [2]], "multilabel", ("2", "3", "10")),
        (['["b", "a"]', "['c']", "[]"], "multilabel", ("a", "b", "c")),
    ],
)
def test_the_task_is_inferred(values, kind, labels):
    task = infer_task(values, column="y")
    assert (task.kind, task.labels) == (kind, labels)


def test_a_separator_makes_several_labels():
    task = infer_task(["b| a", "c|", "a"], column="y", label_separator="|")
    assert (task.kind, task.labels) == ("multilabel", ("a", "b", "c"))
    encoded = encode_targets(["b| a|b", "c"], task, column="y", label_separator="|")
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("values", [["0.5", "1", "-2e1"], [0.5, 1, -20.0], ["0.5", 1, " -20 "]])
def test_numbers_are_a_regression_with_scaled_targets(values):
    task = infer_task(values, column="y")
    numbers = np.array([0.5, 1, -20])
    assert task.kind == "regression"
    assert task.target_mean == pytest.approx(numbers.mean())
    assert task.target_scale == pytest.approx(numbers.std())
    encoded = encode_targets(values, task, column="y")
    assert encoded.dtype == np.float64
    np.testing.assert_allclose(encoded, (numbers - numbers.mean()) / numbers.std())


def test_integers_of_more_than_20_values_are_a_regression():
    assert infer_task(range(21), column="y").kind == "regression"
    assert infer_task(range(21), column="y", kind="classification").labels == tuple(map(str, range(21)))


def test_the_kind_can_be_chosen():
    assert infer_task(["1", "2", "3"], column="y", kind="regression").target_mean == 2
    assert infer_task(["b", "a"], column="y", kind="binary").labels == ("a", "b")
    assert infer_task(["yes", "no"], column="y", kind="classification").labels == ("no", "yes")
    assert infer_task(["b", "a", "b"], column="y", kind="multilabel").labels == ("a", "b")
    assert infer_task(["0.5", "1.0"], column="y", kind="classification").labels == ("0.5", "1")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "has no values"),
        (["a", None, float("nan"), " "], {}, "row 2: the target is missing; row 3: .*; row 4"),
        ([0.5, float("inf")], {}, r"row 2: expected a finite number, found inf"),
        (["0.5", "1e999"], {}, "row 2: expected a finite number"),
        (["a", "a"], {}, "one class only, 'a'"),
        ([1, "1.0"], {}, "one class only, '1'"),
        ([["a"], ["a"]], {}, "one label only, 'a'"),
        ([[], []], {}, "no label in any row"),
        ([["a", None]], {}, "row 1: expected a label, found nothing"),
        ([["a", " "]], {}, "row 1: a label is blank"),
        ([["a"], {"b": 1}], {}, "row 2: expected a label, found {'b': 1}"),
        ([2.5, 2.5], {}, "is 2.5 in every row"),
        ([0.1] * 10, {}, "is 0.1 in every row"),
        ([1e308, -1e308, 0.5], {}, r"expected a number from -1e\+37 to 1e\+37"),
        ([1e-320, 2e-320], {"kind": "regression"}, "cannot be scaled"),
        ([str(i / 2) for i in range(40)] + ["n/a"], {}, r"row 41: 'n/a' \(str\) is no number, as most"),
        ([f"name {i}" for i in range(21)], {}, "21 different values in 21 rows .* regression"),
        ([f"c{i % 1001}" for i in range(5000)], {}, "1,001 different values in 5,000 rows"),
        ([[f"c{i}"] for i in range(1001)], {}, "1,001 different labels"),
        (["1", "x"], {"kind": "regression"}, r"row 2: expected a number, found 'x' \(str\)"),
        (["1", "3,5"], {"kind": "regression"}, "write 3.5, not 3,5"),
        (["a", "b", "c"], {"kind": "binary"}, "two labels, but column 'y' has 3"),
        ([["a"], ["b"]], {"kind": "classification"}, r"row 1: expected a label, found \['a'\]"),
        (["a", "b", None], {"rows": [10, 20, 30]}, "row 30: the target is missing"),
        (["a"], {"rows": [1, 2]}, "1 targets, but 2 row numbers"),
    ],
)
def test_columns_that_cannot_be_predicted(values, options, message):
    with pytest.raises(DataError, match=message):
        infer_task(values, column="y", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "ranking"}, "'ranking' is unknown"),
        ({"kind": "regression", "label_separator": "|"}, "no effect"),
        ({"label_separator": ""}, "is empty"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        infer_task(["a", "b"], column="y", **options)


def test_doubtful_columns_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING):
        infer_task(["Good", "good", "good", "Good", "rare", "Rare"], column="y")
        infer_task(["a", "b", "a", "b"], column="y", label_separator="|")
    single, alike, separator = caplog.messages
    assert "2 classes have a single row: 'Rare', 'rare'" in single
    assert "letter case alone" in alike
    assert "no cell holds the label separator '|'" in separator


def test_classes_are_encoded_by_their_place():
    task = Task(kind="classification", labels=("1", "2", "10"))
    encoded = encode_targets(["10", 1, 2.0, "2.0", " 1 "], task, column="y")
    assert encoded.dtype == np.int64
    assert encoded.tolist() == [2, 0, 1, 1, 0]
    binary = Task(kind="binary", labels=("false", "true"))
    assert encode_targets([True, "false"], binary, column="y").tolist() == [1, 0]


def test_an_outlier_leaves_all_other_targets_as_they_are(caplog):
    values = [*map(float, range(1000)), 1e12]
    task = infer_task(values, column="y")
    encoded = encode_targets(values, task, column="y")
    found = encoded * task.target_scale + task.target_mean
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-5)
    (warning,) = caplog.messages
    assert "of 1,001 different numbers the network can tell only" in warning
    assert "since 1e+12 lies far from the others (31.6 deviations" in warning
    caplog.clear()
    infer_task([1.7e9 + i / 7 for i in range(1000)], column="y")
    assert not caplog.messages


def test_unknown_labels_are_named_with_their_rows():
    task = Task(kind="classification", labels=("a", "b"))
    with pytest.raises(
        DataError, match=r"row 7: .* 'c' is unknown; row 9: .* 'd' is unknown\. Known labels: 'a', 'b'\."
    ):
        encode_targets(["a", "c", "d"], task, column="y", rows=[5, 7, 9])
    with pytest.raises(DataError, match="row 1: the label 'z' is unknown"):
        encode_targets([["a", "z"]], Task(kind="multilabel", labels=("a",)), column="y")
    with pytest.raises(DataError, match="row 2: expected a number, found 'x'"):
        encode_targets(["1", "x"], Task(kind="regression"), column="y")
    with pytest.raises(DataError, match="row 2: the target is missing"):
        encode_targets(["a", None], task, column="y")


def test_real_columns(shared):
    from bertblocks.data.examples import read_examples
    from bertblocks.data.tables import open_table

    table = open_table(shared / "data/umsab/dev.csv")
    task = infer_task((e.target for e in read_examples(table, text="text", target="sentiment")), column="s")
    assert (task.kind, task.labels) == ("classification", ("negative", "neutral", "positive"))
    table = open_table(shared / "data/stsb-multi-mt/dev.csv")
    examples = read_examples(table, text="text_a", pair="text_b", target="score")
    assert infer_task((e.target for e in examples), column="score").kind == "regression"
