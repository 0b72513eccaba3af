"""--precision of the command line, and what `info` says of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bertblocks.encoder import available_kernels, choose_precision, native
from bertblocks.inference import load_encoder
from tiny_tables import class_texts, write_csv


@pytest.fixture
def table(tmp_path):
    texts, labels = class_texts(12)
    return write_csv(tmp_path / "table.csv", {"text": texts, "label": labels})


def test_int8_predicts_embeds_and_evaluates(cli, model, encoder, table, tmp_path):
    text = ("--text", "the food was great", "--json", "--precision")
    scores = [
        json.loads(cli("predict", model, *text, precision).out)["probabilities"]
        for precision in ("int8", "float32")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.05) and scores[0] != scores[1]
    out = tmp_path / "vectors.npy"
    ended = cli("embed", encoder, table, "--text", "text", "--output", out, "--precision", "int8")
    assert ended.status == 0, ended.err
    expected = load_encoder(encoder, precision="int8").encode(class_texts(12)[0])
    assert np.array_equal(np.load(out), expected)
    assert cli("evaluate", model, table, "--precision", "int8").status == 0


def test_training_is_not_in_int8(cli, encoder, table, tmp_path):
    out = ("--text", "text", "--target", "label", "--encoder", encoder, "--output", tmp_path / "m")
    ended = cli("train", table, *out, "--precision", "int8")
    assert ended.status == 2 and "int8" in ended.err and not (tmp_path / "m").exists()


def test_info_says_what_runs_here(cli, model, encoder):
    precision = choose_precision("auto", torch.device("cpu"))
    kernels, of_int8 = available_kernels(precision)[0], available_kernels("int8")[0]
    expected = f"{precision} ({kernels} kernels), or int8 ({of_int8} kernels)"
    if native.missing():
        expected += f"; no native kernels: {native.missing()}"
    for source in (model, encoder):
        assert json.loads(cli("info", source, "--json").out)["precision_here"] == expected
        assert "precision here" in cli("info", source).out


def test_info_says_why_there_are_no_native_kernels(cli, encoder, monkeypatch):
    monkeypatch.setattr("bertblocks.encoder.native.calls._processor", lambda: None)
    told = json.loads(cli("info", encoder, "--json").out)["precision_here"]
    assert told.endswith(
        " kernels); no native kernels: the compiled part was not built when bertblocks was installed"
    )
    assert "native kernels)" not in told
