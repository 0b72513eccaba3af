from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from bertblocks.data.columns import column_values, text_columns
from bertblocks.errors import DataError


@pytest.mark.parametrize(
    "column",
    [
        ["a", None, "b"],
        ("a", None, "b"),
        np.array(["a", None, "b"], dtype=object),
        pd.Series(["a", None, "b"], index=[7, 8, 9]),
        pd.Series(["a", None, "b"], dtype="category"),
        pd.Index(["a", None, "b"]),
        pa.array(["a", None, "b"]),
        pa.chunked_array([["a"], [None, "b"]]),
        iter(["a", pd.NA, "b"]),
        ["a", float("nan"), np.str_("b")],
    ],
    ids=lambda column: type(column).__name__,
)
def test_any_holder_of_a_column_gives_python_values(column):
    values = column_values(column, "labels")
    assert values == ["a", None, "b"]
    assert [type(value) for value in values] == [str, type(None), str]


def test_numbers_become_pythons_own_and_missing_ones_none():
    for column in (np.array([1.5, np.nan]), pd.Series([1.5, None]), [np.float32(1.5), np.float64("nan")]):
        values = column_values(column, "y")
        assert values == [1.5, None]
        assert type(values[0]) is float
    assert column_values(pd.Series([1, None], dtype="Int64"), "y") == [1, None]
    assert [type(v) for v in column_values(np.array([1, 2]), "y")] == [int, int]
    assert column_values(pd.Series([pd.NaT, pd.NaT]), "y") == [None, None]
    assert column_values([datetime.date(2024, 1, 1), " "], "y") == [datetime.date(2024, 1, 1), " "]
    assert column_values(np.array([True]), "y") == [True]
    assert column_values([np.array(["a", "b"]), ["c"]], "y") == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("abc", "wrap it in a list"),
        (b"abc", "wrap it in a list"),
        (3, "y is 3 "),
        ({"a"}, "y is {'a'}"),
        (None, "y is nothing"),
        (np.zeros((2, 2)), r"shape \(2, 2\)"),
        (np.array(3), r"shape \(\)"),
        (pd.DataFrame({"a": [1]}), "is a table"),
        (pa.table({"a": [1]}), "is a table"),
        ({"a": [1]}, "is a table"),
    ],
)
def test_what_is_no_column_is_refused(column, message):
    with pytest.raises(DataError, match=message):
        column_values(column, "y")


def test_texts_and_pairs():
    assert text_columns(["a", "", "b"]) == (["a", "", "b"], None)
    assert text_columns([]) == ([], None)
    assert text_columns(pd.Series(["a", "b"])) == (["a", "b"], None)
    assert text_columns(pd.DataFrame({"text": ["a", "b"]})) == (["a", "b"], None)
    # A list of two texts is two texts, never a pair.
    assert text_columns(["a", "b"]) == (["a", "b"], None)


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "b"), ("c", "d")],
        [["a", "b"], ["c", "d"]],
        np.array([["a", "b"], ["c", "d"]]),
        pd.DataFrame({"x": ["a", "c"], "y": ["b", "d"]}),
        pd.DataFrame([["a", "b"], ["c", "d"]], columns=["same", "same"]),
        pd.Series([("a", "b"), ("c", "d")]),
        pa.table({"x": ["a", "c"], "y": ["b", "d"]}),
        pa.array([["a", "b"], ["c", "d"]]),
    ],
    ids=lambda pairs: type(pairs).__name__,
)
def test_any_holder_of_pairs(pairs):
    assert text_columns(pairs) == (["a", "c"], ["b", "d"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("one text", "wrap it in a list"),
        (
            ["a", None, 3],
            r"texts\[1\] is missing; texts\[2\] is 3 \(int\)\. Every row must be a str",
        ),
        (["a", ("b", "c")], r"texts\[1\] is \('b', 'c'\) \(tuple\)\. Every row must be a str"),
        ([("a", "b"), "c"], r"texts\[1\] is 'c' \(str\)\. Every row must be a pair"),
        ([("a", "b", "c")], r"texts\[0\].* Every row must be a pair"),
        ([("a", None)], r"texts\[0\].* Every row must be a pair"),
        ([None] * 9, "and 4 more"),
        (np.array([["a", "b", "c"]]), "texts has 3 columns"),
        (pd.DataFrame({"x": ["a", None], "y": ["b", "c"]}), r"texts\[1\] is \(None, 'c'\)"),
        (np.zeros((1, 2, 3)), "shape"),
    ],
)
def test_what_is_neither_text_nor_pair_is_named_by_its_index(texts, message):
    with pytest.raises(DataError, match=message):
        text_columns(texts)
