"""Long texts in windows, from the command line and the estimators."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import bertblocks as bb
from bertblocks.assembly import load_model, run_packed
from bertblocks.errors import ConfigError, GraphError
from bertblocks.inference import load_encoder
from tiny_tables import class_texts, write_csv

SLIDE = ("--windows", "slide", "--sequence-length", 16, "--stride", 10, "--window-pooling", "max")
QUICK = ("--no-baseline", "--epochs", 1, "--precision", "float32")


@pytest.fixture
def long_texts():
    texts, labels = class_texts(40)
    return [f"{text} " * (1 + index % 12) for index, text in enumerate(texts)], labels


@pytest.fixture
def table(long_texts, tmp_path):
    return write_csv(tmp_path / "table.csv", {"text": long_texts[0], "label": long_texts[1]})


def test_a_model_with_windows_is_trained_shown_and_asked(cli, encoder, table, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out.jsonl"
    places = ("--text", "text", "--target", "label", "--output", model, "--encoder", encoder)
    trained = cli("train", table, *places, *SLIDE, *QUICK)
    assert trained.status == 0, trained.err
    assert "read in windows of 16 tokens; none were cut" in trained.err
    block = load_model(model).graph.tokenizer
    assert (block.windows, block.stride, block.window_pooling) == ("slide", 10, "max")

    facts = json.loads(cli("info", model, "--json").out)
    assert facts["longer_texts"] == "read whole, in windows that begin every 10 tokens"
    assert facts["opens_in_transformers_as"].startswith("AutoModel (")
    shown = cli("info", model).out
    assert "windows='slide'" in shown and "stride=10" in shown

    predicted = cli("predict", model, table, "--output", out, "--precision", "float32")
    assert predicted.status == 0
    assert predicted.err == "29 texts were read in windows of 16 tokens; none were cut.\n"
    long = cli("predict", model, "--text", "the film " * 20, "--precision", "float32")
    assert long.err == "The text has 42 tokens and was read in windows.\n"
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert max(row["num_tokens"] for row in rows) > 60 and not any(row["truncated"] for row in rows)

    evaluated = cli("evaluate", model, table, "--precision", "float32")
    assert "rows in windows" in evaluated.out
    tokens = json.loads(cli("evaluate", model, table, "--precision", "float32", "--json").out)["tokens"]
    assert (tokens["num_in_windows"], tokens["num_truncated"]) == (29, 0)

    settings = json.loads((model / "run.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["windows"], settings["stride"], settings["window_pooling"]) == ("slide", 10, "max")


def test_vectors_of_windows(cli, encoder, table, long_texts, tmp_path):
    out = tmp_path / "v.npy"
    ended = cli("embed", encoder, table, "--text", "text", "--output", out, *SLIDE, "--precision", "float32")
    assert ended.status == 0 and "none were cut" in ended.err, ended.err
    options = {"sequence_length": 16, "windows": "slide", "stride": 10, "window_pooling": "max"}
    loaded = load_encoder(encoder, precision="float32")
    stripped = [text.strip() for text in long_texts[0]]
    np.testing.assert_allclose(np.load(out), loaded.encode(stripped, **options), atol=1e-5)
    short = loaded.encode(["the film"], windows="slide")
    assert np.array_equal(short, loaded.encode(["the film"]))


def test_a_model_with_windows_reads_in_its_own_way_everywhere(cli, encoder, table, long_texts, tmp_path):
    """Its vectors are what its head reads, whether from Python or the command line."""
    model, out = tmp_path / "model", tmp_path / "v.npy"
    places = ("--text", "text", "--target", "label", "--output", model, "--encoder", encoder)
    assert cli("train", table, *places, *SLIDE, "--pooling", "average", *QUICK).status == 0
    stripped = [text.strip() for text in long_texts[0]]
    with torch.inference_mode():
        assembled = load_model(model)
        expected = run_packed(assembled.module.pooled, assembled.encode(stripped))
    loaded = load_encoder(model, precision="float32")
    own = {"output": "average", "windows": None, "window_pooling": None}
    np.testing.assert_allclose(loaded.encode(stripped, **own), expected, atol=1e-5)
    options = ("--text", "text", "--output", out, "--pooling", "average", "--precision", "float32")
    ended = cli("embed", model, table, *options)
    assert ended.err == "29 texts were read in windows of 16 tokens; none were cut.\n"
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)
    # What is said overrides it; a stride made for other windows does not stay.
    ended = cli("embed", model, table, *options, "--windows", "truncate")
    assert "29 texts were cut" in ended.err and not np.allclose(np.load(out), expected)
    assert loaded.tokenizer_for(8).stride == 4 and loaded.tokenizer_for().stride == 10
    assert loaded.tokenizer_for(stride=3).stride == 3
    assert json.loads(cli("embed", model, table, *options, "--json").out)["num_in_windows"] == 29


def test_cut_texts_are_told_the_way_out(cli, encoder, table, tmp_path):
    places = ("--text", "text", "--output", tmp_path / "v.npy", "--sequence-length", 16)
    assert "texts were cut; --windows slide reads them whole." in cli("embed", encoder, table, *places).err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 5}, "stride is 5, which has no effect while texts are cut"),
        ({"window_pooling": "max"}, "window_pooling is 'max', which has no effect"),
        ({"windows": "slide", "window_pooling": "cls"}, "must be average or max"),
        ({"windows": "slide", "stride": 127}, "whole number from 1 to 126"),
        ({"windows": "overlap"}, "windows is 'overlap', but must be one of truncate, slide"),
        ({"windows": "slide", "output": "sequence"}, "tokens stand in several windows"),
    ],
)
def test_options_that_an_encoder_refuses(encoder, options, message):
    with pytest.raises(ConfigError, match=message):
        load_encoder(encoder, precision="float32").encode(["the film"], **options)


def test_options_without_effect_are_refused_before_the_table_is_read(cli, encoder, tmp_path):
    places = ("--text", "a", "--target", "b", "--output", tmp_path / "m", "--encoder", encoder)
    for options, words in (
        (("--stride", 5), "stride has no effect while texts are cut: set --windows slide too"),
        (("--windows", "slide", "--text-pair", "c"), "--windows slide is for single texts"),
    ):
        ended = cli("train", tmp_path / "missing.csv", *places, *options)
        assert ended.is_refusal and words in ended.err


def test_estimators_read_windows_and_load_them_again(encoder, long_texts, tmp_path):
    options = {"sequence_length": 16, "windows": "slide", "stride": 9, "window_pooling": "max"}
    quick = {"epochs": 1, "precision": "float32"}
    model = bb.TextClassifier(encoder, freeze_encoder=True, **options, **quick).fit(*long_texts)
    found = model.predict_details(long_texts[0])
    assert not found.truncated.any() and found.num_tokens.max() > 60
    model.save(tmp_path / "m")
    loaded = bb.load(tmp_path / "m").set_params(precision="float32")
    assert {name: loaded.get_params()[name] for name in options} == options
    assert np.array_equal(loaded.predict_proba(long_texts[0]), found.scores)
    with pytest.raises(GraphError, match="has stride, without effect while texts are cut"):
        bb.TextClassifier(encoder, stride=9, **quick).fit(*long_texts)
    with pytest.raises(ConfigError, match="windows, stride cannot be chosen beside a graph"):
        graph = loaded.model_.graph
        bb.TextClassifier(graph=graph, windows="slide", stride=9, **quick).fit(*long_texts)
