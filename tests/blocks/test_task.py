from __future__ import annotations

import json
import math

import pytest

from bertblocks.blocks import Task
from bertblocks.errors import ConfigError

TASKS = [
    Task(kind="classification", labels=("a", "b", "c"), temperature=1.7),
    Task(kind="binary", labels=("no", "yes")),
    Task(kind="multilabel", labels=("x", "y"), thresholds=(0.25, 0.75), temperature=0.5),
    Task(kind="multilabel", labels=("only",), temperatures=(1.25,)),
    Task(kind="regression", target_mean=-3.5, target_scale=2.0),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_json_brings_a_task_back(task):
    again = Task.from_json(json.loads(json.dumps(task.to_json())))
    assert again == task and hash(again) == hash(task)


def test_outputs_activation_and_positive_label():
    assert [task.num_outputs for task in TASKS] == [3, 2, 2, 1, 1]
    assert [task.activation for task in TASKS] == ["softmax", "softmax", "sigmoid", "sigmoid", "linear"]
    assert [task.positive_label for task in TASKS] == [None, "yes", None, None, None]


CONTRADICTIONS = {
    "unknown kind": ({"kind": "ranking"}, "kind is 'ranking', but must be one of 'classification', 'binary'"),
    "no kind": ({"kind": None}, "kind is None"),
    "labels of a number": ({"kind": "regression", "labels": ("a",)}, "a regression has no labels, found 1"),
    "binary of three": ({"kind": "binary", "labels": ("a", "b", "c")}, "two labels, found 3"),
    "one class": ({"kind": "classification", "labels": ("a",)}, "at least two labels, found 1"),
    "no labels": ({"kind": "multilabel"}, "at least one label"),
    "repeated": ({"kind": "classification", "labels": ("a", "b", "a")}, "labels are repeated"),
    "no scale": ({"kind": "regression", "target_scale": 0.0}, "target_scale 0.0 positive"),
    "endless mean": ({"kind": "regression", "target_mean": math.inf}, "target_mean inf must be finite"),
    "mean of classes": (
        {"kind": "binary", "labels": ("a", "b"), "target_mean": 2.0},
        "target_mean and target_scale belong to regression",
    ),
    "thresholds of classes": (
        {"kind": "classification", "labels": ("a", "b"), "thresholds": (0.5, 0.5)},
        "thresholds belong to multi-label tasks, one a label",
    ),
    "a threshold short": (
        {"kind": "multilabel", "labels": ("a", "b"), "thresholds": (0.5,)},
        "thresholds belong to multi-label tasks, one a label",
    ),
    "threshold of two": (
        {"kind": "multilabel", "labels": ("a",), "thresholds": (2.0,)},
        "thresholds are (2.0,), but must be probabilities",
    ),
    "cold": ({"kind": "binary", "labels": ("a", "b"), "temperature": 0.0}, "temperature is 0.0"),
    "temperatures of classes": (
        {"kind": "binary", "labels": ("a", "b"), "temperatures": (1.5, 2.0)},
        "temperatures belong to multi-label tasks, one a label",
    ),
    "a temperature short": (
        {"kind": "multilabel", "labels": ("a", "b"), "temperatures": (1.5,)},
        "temperatures belong to multi-label tasks, one a label",
    ),
    "temperature and temperatures": (
        {"kind": "multilabel", "labels": ("a",), "temperature": 2.0, "temperatures": (1.5,)},
        "temperature has no effect beside temperatures",
    ),
    "endless temperatures": (
        {"kind": "multilabel", "labels": ("a", "b"), "temperatures": (0.0, math.inf)},
        "temperatures are (0.0, inf), but must be positive",
    ),
    "temperatures as texts": (
        {"kind": "multilabel", "labels": ("a",), "temperatures": ("1",)},
        "temperatures is ('1',), but must be a tuple, and each item a float",
    ),
    "no temperature": (
        {"kind": "binary", "labels": ("a", "b"), "temperature": math.nan},
        "temperature is nan",
    ),
    "warm number": ({"kind": "regression", "temperature": 2.0}, "temperature belongs to probabilities"),
    "labels as a list": (
        {"kind": "binary", "labels": ["a", "b"]},
        "labels is ['a', 'b'], but must be a tuple",
    ),
    "labels as numbers": ({"kind": "binary", "labels": (0, 1)}, "labels is (0, 1), but must be a tuple, and"),
    "mean as text": ({"kind": "regression", "target_mean": "3"}, "target_mean is '3', but must be a float"),
}


@pytest.mark.parametrize(("options", "fragment"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_contradictions_are_refused(options, fragment):
    with pytest.raises(ConfigError) as caught:
        Task(**options)
    assert str(caught.value).startswith("The task contradicts itself: ")
    assert fragment in str(caught.value)


def test_every_contradiction_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Task(kind="binary", labels=("a", "a", "a"), thresholds=(0.5,), temperature=-1.0)
    message = str(caught.value)
    for fragment in ("found 3", "repeated", "thresholds belong", "temperature is -1.0"):
        assert fragment in message


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (
            {"kind": "regression", "unit": "stars"},
            "target_scale', 'temperature', 'temperatures', 'thresholds']; unknown: ['unit'].",
        ),
        ({"unit": "stars"}, "unknown: ['unit'], 'kind' is required."),
        ({"labels": ["a", "b"]}, "'kind' is required"),
        ({"kind": "binary", "labels": "ab"}, "labels is 'ab', but must be a tuple"),
        ({"kind": "binary", "labels": [["a"], ["b"]]}, "each item a str"),
        ([], "a JSON object, found list"),
        (None, "a JSON object, found NoneType"),
    ],
)
def test_json_that_is_no_task_is_refused(data, fragment):
    with pytest.raises(ConfigError) as caught:
        Task.from_json(data)
    assert fragment in str(caught.value)


def test_a_task_without_temperatures_is_written_as_it_was_before_there_were_any():
    task = Task(kind="multilabel", labels=("a", "b"), thresholds=(0.25, 0.5), temperature=2.0)
    assert task.to_json() == {
        "kind": "multilabel",
        "labels": ["a", "b"],
        "thresholds": [0.25, 0.5],
        "temperature": 2.0,
    }
    assert Task(kind="multilabel", labels=("a",), temperatures=(2.0,)).to_json()["temperatures"] == [2.0]
