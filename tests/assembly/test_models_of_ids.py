"""Models that take token ids: assembled, saved, loaded and asked."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from bertblocks.assembly import assemble, load_model
from bertblocks.blocks import Task
from bertblocks.data import open_table
from bertblocks.errors import ConfigError, DataError, GraphError
from bertblocks.evaluation import examine_table
from bertblocks.inference import Predictor, predict_table
from tiny_ids import BAD_CELLS, YES_NO, ids_graph, ids_model, order_rows, write_json_lines, write_parquet

ROWS = order_rows(40)


@pytest.fixture(scope="module")
def model():
    return ids_model()


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, precision="float32", device="cpu")


def test_it_has_no_tokenizer_and_reads_as_long_as_its_positions(model):
    assert model.tokenizer is None
    assert model.sequence_length == 512


def test_save_and_load_is_exact(model, predictor, tmp_path):
    model.save(tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {"config.json", "model.safetensors", "bertblocks.json"}
    loaded = load_model(tmp_path / "model")
    assert loaded.graph == model.graph and loaded.tokenizer is None
    before, after = model.module.state_dict(), loaded.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    scores = Predictor(loaded, precision="float32", device="cpu").predict(ROWS["events"]).scores
    assert np.array_equal(scores, predictor.predict(ROWS["events"]).scores)


def test_transformers_opens_it_with_equal_logits(model, tmp_path):
    model.save(tmp_path / "model")
    assert json.loads((tmp_path / "model/config.json").read_text())["pad_token_id"] is None
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
    ids = torch.tensor([ROWS["events"][0]])
    with torch.no_grad():
        expected = theirs(ids).logits.softmax(1).numpy()
    found = Predictor(model, precision="float32", device="cpu").predict(ids.numpy()).scores
    assert np.abs(found - expected).max() < 1e-5


def test_rows_alone_equal_rows_together(predictor):
    together = predictor.predict(ROWS["events"])
    alone = np.concatenate([predictor.predict([row]).scores for row in ROWS["events"]])
    assert np.abs(together.scores - alone).max() < 1e-5
    assert np.ptp(together.scores[:, 0]) > 0.01
    assert together.num_tokens.tolist() == [len(row) for row in ROWS["events"]]


@pytest.mark.parametrize("name", BAD_CELLS)
def test_bad_rows_are_refused(predictor, name):
    value, message = BAD_CELLS[name]
    with pytest.raises(DataError) as error:
        predictor.predict([[1, 2, 3], value])
    assert f"row 1: {message}" in str(error.value)


def test_texts_and_pairs_are_refused(predictor):
    with pytest.raises(DataError, match="row 0: expected a list of integers, found 'a text'"):
        predictor.predict(["a text"])
    with pytest.raises(DataError, match="takes single lists of token ids: 'events'"):
        predictor.predict([[1, 2, 3]], ["a text"])


@pytest.mark.parametrize("write, ending", [(write_json_lines, "jsonl"), (write_parquet, "parquet")])
def test_tables(predictor, tmp_path, write, ending):
    table = open_table(write(tmp_path / f"in.{ending}", ROWS))
    report = predict_table(predictor, table, tmp_path / f"out.{ending}")
    assert (report.num_rows, report.num_truncated, report.num_unknown) == (40, 0, 0)
    (batch,) = open_table(tmp_path / f"out.{ending}").batches()
    expected = predictor.predict(ROWS["events"])
    assert batch.columns["prediction"] == expected.answers
    assert [list(row) for row in batch.columns["events"]] == ROWS["events"]


def test_bad_rows_of_a_table(predictor, tmp_path):
    cells = [[1, 2, 3], *(value for value, _ in BAD_CELLS.values())]
    table = open_table(write_json_lines(tmp_path / "in.jsonl", {"events": cells}))
    with pytest.raises(DataError, match=r"in\.jsonl, row 2 \(line 2\), column 'events': the list has 0"):
        predict_table(predictor, table, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()
    report = predict_table(predictor, table, tmp_path / "out.jsonl", on_bad_row="skip")
    assert (report.num_rows, report.num_empty) == (len(cells), len(BAD_CELLS))


def test_evaluation(predictor, tmp_path):
    table = open_table(write_json_lines(tmp_path / "in.jsonl", ROWS))
    found = examine_table(predictor, table).evaluation
    right = np.mean(np.array(predictor.predict(ROWS["events"]).answers) == ROWS["label"])
    assert found.overall["accuracy"] == pytest.approx(right)
    renamed = {"lists": ROWS["events"], "label": ROWS["label"]}
    other = open_table(write_json_lines(tmp_path / "other.jsonl", renamed))
    assert examine_table(predictor, other, ids="lists").evaluation.overall == found.overall
    with pytest.raises(ConfigError, match="text and text_pair has no effect: this model takes token ids"):
        examine_table(predictor, table, text="a", text_pair="b")


def test_the_task_must_fit():
    with pytest.raises(GraphError, match=r"set Dense\(3, activation=\"softmax\"\)"):
        assemble(ids_graph(), Task(kind="classification", labels=("a", "b", "c")))


def test_any_vocabulary_size():
    model = assemble(ids_graph(vocabulary_size=3), YES_NO)
    assert model.encode([[0, 1, 2]]).ids[0].tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="ids run from 0 to 2"):
        model.encode([[0, 1, 3]])
