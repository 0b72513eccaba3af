"""Predictions and vectors with processes that tokenize are those without."""

from __future__ import annotations

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.data import open_table
from bertblocks.errors import ConfigError, DataError
from bertblocks.inference import (
    Predictor,
    TextEncoder,
    embed_table,
    load_encoder,
    predict_table,
    text_windows,
)
from bertblocks.text import workers
from tiny import TEXTS, tiny_model
from tiny_ids import ids_model

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
MANY = [*TEXTS, *("word " * n + "end." for n in range(20)), "a", "I", "the story"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(text_windows, "WINDOW_ROWS", 12)
    monkeypatch.setattr(workers, "_MIN_ROWS", 8)
    monkeypatch.setattr(workers, "_PART_ROWS", 3)


@pytest.fixture
def used(monkeypatch):
    """How many texts each part had that went to a process."""
    seen: list[int] = []
    encode = workers._Worker.encode

    def counting(worker, columns):
        seen.append(len(columns[0]))
        return encode(worker, columns)

    monkeypatch.setattr(workers._Worker, "encode", counting)
    return seen


def test_predictions(tiny_encoder, used):
    model = tiny_model(tiny_encoder("cased"), TOPICS)
    alone = Predictor(model, precision="float32")
    helped = Predictor(model, precision="float32", num_workers=2)
    assert (alone.num_workers, alone.predict(MANY).answers) == (0, helped.predict(MANY).answers)
    assert np.array_equal(alone.predict(MANY).scores, helped.predict(MANY).scores)
    assert sum(used) >= len(MANY) - 8 and max(used) == 3


def test_vectors(tiny_encoder, used):
    alone, helped = (load_encoder(tiny_encoder("cased"), precision="float32") for _ in range(2))
    helped.num_workers = 2
    for options in ({}, {"windows": "slide", "sequence_length": 8}):
        assert np.array_equal(alone.encode(MANY, **options), helped.encode(MANY, **options))
    with pytest.raises(DataError, match="row 9 is None"):
        helped.encode([*MANY[:9], None, *MANY])
    assert used
    made = TextEncoder(
        tiny_model(tiny_encoder("cased"), TOPICS).module.encoder, alone.tokenizer, num_workers=3
    )
    assert (alone.num_workers, made.num_workers) == (0, 3)


def test_tables(tiny_encoder, tmp_path, used):
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "".join(f'"{text or "-"}"\n' for text in MANY if '"' not in text), "utf-8")
    predictors = [Predictor(tiny_model(tiny_encoder("cased"), TOPICS), num_workers=n) for n in (0, 2)]
    written = []
    for predictor in predictors:
        output = tmp_path / f"{predictor.num_workers}.csv"
        predict_table(predictor, open_table(path), output)
        written.append(output.read_bytes())
    assert written[0] == written[1] and used
    encoder = load_encoder(tiny_encoder("cased"))
    vectors = []
    for encoder.num_workers in (0, 2):
        embed_table(encoder, open_table(path), tmp_path / "vectors.npy", text="text")
        vectors.append(np.load(tmp_path / "vectors.npy"))
    assert np.array_equal(*vectors)


def test_lists_of_ids_need_none(used):
    predictor = Predictor(ids_model(), precision="float32", num_workers=2)
    assert len(predictor.predict([[1, 2, 3]] * 30)) == 30 and not used


def test_a_number_that_cannot_be(tiny_encoder):
    predictor = Predictor(tiny_model(tiny_encoder("cased"), TOPICS), num_workers=-1)
    with pytest.raises(ConfigError, match="num_workers is -1, expected a whole number from 0"):
        predictor.predict(MANY)
