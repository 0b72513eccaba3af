"""Rows on which the tokenizer or the model itself fails: they are found, and do not stop the others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bertblocks.blocks import Task
from bertblocks.data import open_table, open_writer
from bertblocks.errors import BertBlocksError
from bertblocks.inference import Predictor, predict_table, table_windows
from bertblocks.inference.failing_rows import apart
from bertblocks.text import Tokenizer
from tiny import tiny_model

TOPICS = Task(kind="binary", labels=("no", "yes"))
TEXTS = ["good", "bad film", "poison", "slow hotel", "great", "poison", "the room was dear"]


class PanicError(BaseException):
    """As a library in Rust panics: no Exception."""


@pytest.fixture
def predictor(tiny_encoder):
    return Predictor(tiny_model(tiny_encoder("cased"), TOPICS), precision="float32", kernels="plain")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "in.csv"
    with open_writer(path, ["text"]) as writer:
        writer.write({"text": TEXTS})
    return open_table(path)


def rows_of(path):
    (batch,) = open_table(path).batches()
    return batch.columns


class TestApart:
    @pytest.mark.parametrize("bad", [set(), {0}, {6}, {2, 3}, {0, 6}, {1, 3, 5}])
    def test_the_good_ones_are_all_done_and_the_bad_ones_named(self, bad):
        def work(rows):
            if bad & set(rows):
                raise PanicError(f"no {sorted(bad & set(rows))[0]}\nand more")
            return list(rows)

        results, failed = apart(work, 7)
        assert [row for part in results for row in part] == sorted(set(range(7)) - bad)
        assert failed == {row: f"the model failed on it: no {row}" for row in sorted(bad)}

    @pytest.mark.parametrize("num_rows", [0, 2, 8])
    def test_what_fails_on_all_is_not_the_rows_fault(self, num_rows):
        def work(rows):
            raise RuntimeError(f"out of order at {len(rows)}")

        with pytest.raises(RuntimeError, match=f"out of order at {num_rows}"):
            apart(work, num_rows)

    def test_a_single_row(self):
        def work(rows):
            raise ValueError

        assert apart(work, 1) == ([], {0: "the model failed on it: ValueError"})

    def test_an_interrupt_is_none_of_them(self):
        def work(rows):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            apart(work, 4)


def check_rows(predictor, output, report, message):
    found = rows_of(output)
    assert found["text"] == TEXTS
    bad = [text == "poison" for text in TEXTS]
    assert [value is None for value in found["prediction"]] == bad
    assert [message in (text or "") for text in found["error"]] == bad
    assert report.num_empty == 2 and report.skipped == {"failed in the model": 2}
    good = [text for text in TEXTS if text != "poison"]
    scores = [float(value) for value in found["probability:yes"] if value is not None]
    np.testing.assert_allclose(scores, predictor.predict(good).scores[:, 1], atol=2e-6)


def test_a_text_that_the_tokenizer_fails_on(predictor, table, tmp_path, monkeypatch):
    encode = Tokenizer.encode

    def poisoned(self, texts, pairs=None):
        if "poison" in texts:
            raise PanicError("unreachable code")
        return encode(self, texts, pairs)

    monkeypatch.setattr(Tokenizer, "encode", poisoned)
    report = predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="column")
    check_rows(predictor, tmp_path / "out.csv", report, "the model failed on it: unreachable code")
    with pytest.raises(PanicError):
        predict_table(predictor, table, tmp_path / "other.csv")


def rows_in(packed):
    return np.split(packed.input_ids_T.numpy(), packed.cu_seqlens[1:-1].numpy())


def test_a_text_that_the_encoder_fails_on(predictor, table, tmp_path, monkeypatch):
    poison = predictor.model.encode(["poison"]).ids[0]
    forward = predictor._module.forward

    def poisoned(packed):
        if any(np.array_equal(ids, poison) for ids in rows_in(packed)):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(packed)

    monkeypatch.setattr(predictor._module, "forward", poisoned)
    monkeypatch.setattr(table_windows, "WINDOW_ROWS", 4)
    report = predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="column")
    check_rows(predictor, tmp_path / "out.csv", report, "can't allocate memory")


def test_numbers_that_are_none(predictor, table, tmp_path, monkeypatch):
    poison = predictor.model.encode(["poison"]).ids[0]
    forward = predictor._module.forward

    def poisoned(packed):
        logits = forward(packed)
        bad = torch.tensor([np.array_equal(ids, poison) for ids in rows_in(packed)])
        return torch.where(bad[:, None], torch.nan, logits)

    monkeypatch.setattr(predictor._module, "forward", poisoned)
    report = predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="column")
    check_rows(predictor, tmp_path / "out.csv", report, "no finite number")


def test_a_model_that_fails_on_everything_ends_the_job(predictor, table, tmp_path, monkeypatch):
    def broken(packed):
        raise BertBlocksError("the device is gone")

    monkeypatch.setattr(predictor._module, "forward", broken)
    with pytest.raises(BertBlocksError, match="the device is gone"):
        predict_table(predictor, table, tmp_path / "out.csv", on_bad_row="column")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
