from __future__ import annotations

import math

import numpy as np
import pytest

from bertblocks.errors import ConfigError
from bertblocks.training import TableRun, TrainingSettings

NEEDED = {"table": "a.csv", "text": "text", "target": "label", "output": "model"}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("epochs", [0, -1, 2.5, "3", True]),
        ("batch_tokens", [0, None, "many"]),
        ("min_batch_texts", [0]),
        ("patience", [0, 1.5]),
        ("learning_rate", [0.0, -1e-3, math.nan, math.inf, "1e-3", True]),
        ("head_learning_rate", [0, math.nan]),
        ("max_grad_norm", [0.0, math.inf]),
        ("weight_decay", [-0.1, math.nan, "0"]),
        ("checkpoint_every_s", [-1, math.nan]),
        ("warmup_fraction", [1.0, -0.1, math.nan, "0.1"]),
        ("seed", [-1, 2**32, 1.0, "0"]),
        ("optimizer", ["sgd", None]),
        ("precision", ["float16", None]),
        ("class_weight", ["balanced", True]),
        ("device", [0, None]),
    ],
)
def test_values_that_cannot_be_are_refused_by_name(name, values):
    for value in values:
        if value is None and name == "batch_tokens":
            continue
        with pytest.raises(ConfigError, match=rf"\b{name} is "):
            TrainingSettings(**{name: value})


def test_all_problems_are_said_at_once():
    with pytest.raises(ConfigError) as found:
        TrainingSettings(epochs=0, learning_rate=-1.0, seed=-5, optimizer="sgd")
    for name in ("epochs is 0", "learning_rate is -1.0", "seed is -5", "optimizer is 'sgd'"):
        assert name in str(found.value)


def test_numbers_of_numpy_are_numbers():
    settings = TrainingSettings(epochs=np.int64(3), learning_rate=np.float64(0.1), seed=np.int32(2))
    assert settings.epochs == 3


def test_settings_come_back_from_json():
    settings = TrainingSettings(epochs=3, learning_rate=1e-3, class_weight="auto", seed=9)
    assert TrainingSettings.from_json(settings.to_json()) == settings
    with pytest.raises(ConfigError, match=r"no setting \['learnin_rate'\].*learning_rate"):
        TrainingSettings.from_json({"learnin_rate": 0.1})
    with pytest.raises(ConfigError, match="JSON object, found list"):
        TrainingSettings.from_json([1])  # type: ignore[arg-type]


def test_a_run_comes_back_from_json():
    run = TableRun(**NEEDED, validation="dev.csv", pooling="max", training=TrainingSettings(seed=4))
    assert TableRun.from_json(run.to_json()) == run
    with pytest.raises(ConfigError, match=r"unknown \['tabel'\], missing \['table'\]"):
        TableRun.from_json({"tabel": "a.csv", "text": "t", "target": "y", "output": "o"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("table", 3),
        ("text", 3),
        ("text_pair", 1),
        ("freeze_encoder", "yes"),
        ("validation", None),
        ("validation", True),
        ("sequence_length", "12"),
        ("sequence_length", True),
        ("task", "clustering"),
        ("pooling", "mean"),
        ("training", {}),
    ],
)
def test_a_run_refuses_values_of_other_kinds(name, value):
    with pytest.raises(ConfigError, match=rf"\b{name} is {value!r}"):
        TableRun(**{**NEEDED, name: value})


def test_the_work_folder_lies_beside_the_output(tmp_path, monkeypatch):
    assert TableRun(**{**NEEDED, "output": str(tmp_path / "a.b")}).work == tmp_path / "a.b.unfinished"
    monkeypatch.chdir(tmp_path)
    beside = tmp_path.with_name(tmp_path.name + ".unfinished")
    for here in (".", "", "./"):
        assert TableRun(**{**NEEDED, "output": here}).work == beside
