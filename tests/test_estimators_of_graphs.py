"""TextClassifier and TextRegressor with a graph of one's own, and with token ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

import bertblocks as bb
from bertblocks.blocks import PretrainedBertEncoder, text_model
from tiny_ids import BAD_CELLS, SIZES, YES_NO, ids_graph, order_rows
from tiny_tables import class_texts

ROWS = order_rows(60)
QUICK = {"epochs": 2, "precision": "float32", "device": "cpu", "learning_rate": 3e-3}


@pytest.fixture(scope="module")
def fitted():
    return bb.TextClassifier(graph=ids_graph(), **QUICK).fit(ROWS["events"], ROWS["label"])


def test_lists_of_integers(fitted, tmp_path):
    assert set(fitted.predict(ROWS["events"])) <= {"no", "yes"}
    assert 0 <= fitted.score(ROWS["events"], ROWS["label"]) <= 1
    fitted.save(tmp_path / "model")
    loaded = bb.load(tmp_path / "model")
    loaded.set_params(precision="float32", device="cpu")
    assert loaded.graph == ids_graph()
    before, after = (model.predict_proba(ROWS["events"]) for model in (fitted, loaded))
    assert np.array_equal(before, after)
    # What was loaded can be fitted again.
    clone(loaded).set_params(**QUICK).fit(ROWS["events"], ROWS["label"])


def test_other_columns_of_lists(fitted):
    rows = [[1, 2, 3], [4, 5, 6]]
    expected = fitted.predict_proba(rows)
    for column in (np.array(rows), pa.array(rows), iter(rows), [np.array(row) for row in rows]):
        assert np.array_equal(fitted.predict_proba(column), expected)


@pytest.mark.parametrize("name", BAD_CELLS)
def test_bad_lists_are_named(fitted, name):
    value, message = BAD_CELLS[name]
    for call in (fitted.predict, lambda rows: clone(fitted).fit(rows, ["no", "yes"])):
        with pytest.raises(bb.DataError) as error:
            call([[1, 2, 3], value])
        assert f"row 1: {message}" in str(error.value)


def test_what_is_no_column_of_lists(fitted):
    for value in ("1 2 3", 5, {"events": [[1, 2, 3]]}, ["a text"], [("a", "b")]):
        with pytest.raises(bb.DataError):
            fitted.predict(value)


def test_a_loaded_graph_of_ones_own_is_what_another_fit_trains(tiny_encoder, tmp_path):
    encoder = str(tiny_encoder("cased"))
    own = bb.Graph(
        [
            bb.TextInput("review"),
            bb.BertTokenizer(vocabulary=encoder, sequence_length=16),
            PretrainedBertEncoder(weights=encoder),
            bb.Dense(8, activation="relu"),
            bb.Dense(2, activation="softmax"),
            bb.Target("topic"),
        ]
    )
    ready_made = text_model(task=YES_NO, encoder=encoder, text="review", target="topic", sequence_length=16)
    texts, labels = class_texts(30)
    for graph, kept in ((own, own), (ready_made, None)):
        bb.TextClassifier(graph=graph, **QUICK).fit(texts, labels).save(tmp_path / "model")
        loaded = bb.load(tmp_path / "model", precision="float32")
        assert loaded.graph == kept
        again = clone(loaded).set_params(epochs=1).fit(texts, labels)
        assert [type(layer) for layer in again.model_.module.head] == [
            type(layer) for layer in loaded.model_.module.head
        ]


def test_a_graph_decides_what_stands_beside_it():
    model = bb.TextClassifier("tiny", graph=ids_graph(), pooling="max", freeze_encoder=True)
    with pytest.raises(bb.ConfigError, match="encoder, pooling, freeze_encoder cannot be chosen beside"):
        model.fit(ROWS["events"], ROWS["label"])


def test_the_estimator_and_the_classes_must_fit_the_graph():
    with pytest.raises(bb.ConfigError, match="take TextRegressor for a regression"):
        bb.TextRegressor(graph=ids_graph()).fit(ROWS["events"], [0.5] * 60)
    with pytest.raises(bb.GraphError, match=r"set Dense\(3, activation"):
        bb.TextClassifier(graph=ids_graph(), **QUICK).fit(ROWS["events"], ["a", "b", "c"] * 20)


def test_a_graph_of_texts_and_of_pairs(tiny_encoder):
    texts, labels = class_texts(30)
    one, two = (
        text_model(task=YES_NO, encoder=str(tiny_encoder("cased")), text_pair=pair, sequence_length=16)
        for pair in (None, "other")
    )
    pairs = list(zip(texts, texts[::-1], strict=True))
    assert len(bb.TextClassifier(graph=one, **QUICK).fit(texts, labels).predict(texts)) == 30
    assert len(bb.TextClassifier(graph=two, **QUICK).fit(pairs, labels).predict(pairs)) == 30
    with pytest.raises(bb.DataError, match="single texts, but the graph takes 'text' and 'other'"):
        bb.TextClassifier(graph=two, **QUICK).fit(texts, labels)


def test_numbers_from_token_ids():
    graph = bb.Graph(
        [
            bb.TokenIdsInput("events"),
            bb.BertEncoder(vocabulary_size=20, output="sequence", **SIZES),
            bb.GlobalAveragePooling1D(),
            bb.Dense(1),
            bb.Target("y", task="regression"),
        ]
    )
    model = bb.TextRegressor(graph=graph, **QUICK).fit(ROWS["events"], [len(row) for row in ROWS["events"]])
    assert np.isfinite(model.predict(ROWS["events"])).all()
