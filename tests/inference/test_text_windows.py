"""Many texts are read in windows; what is answered does not depend on where these begin and end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.errors import DataError
from bertblocks.inference import Predictor, load_encoder, text_windows
from bertblocks.inference.text_windows import encoded_windows
from tiny import TEXTS, tiny_model
from tiny_ids import ids_model

TOPICS = Task(kind="classification", labels=("a", "b", "c"))
MANY = [*TEXTS, *("word " * n + "end." for n in range(20)), "a", "I", "the story"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(text_windows, "WINDOW_ROWS", 4)


@pytest.fixture(scope="module")
def predictor(tiny_encoder):
    return Predictor(tiny_model(tiny_encoder("cased"), TOPICS), precision="float32")


@pytest.fixture(scope="module")
def encoder(tiny_encoder):
    return load_encoder(tiny_encoder("cased"), precision="float32")


def windows_of(texts, pairs=None) -> list[list]:
    """What goes into each window."""
    with encoded_windows(lambda *columns: columns, texts, pairs) as windows:
        return [list(zip(*columns, strict=True)) for columns in windows]


def test_windows_have_so_many_rows(small_windows):
    texts = [str(i) for i in range(10)]
    assert [len(window) for window in windows_of(texts)] == [4, 4, 2]
    assert [row for window in windows_of(texts) for (row,) in window] == texts
    assert [len(window) for window in windows_of(texts[:8])] == [4, 4]
    assert [len(window) for window in windows_of(texts[:4])] == [4]
    assert windows_of(texts, texts[::-1])[1][0] == ("4", "5")


def test_windows_have_so_many_characters(monkeypatch):
    monkeypatch.setattr(text_windows, "WINDOW_CHARACTERS", 10)
    assert windows_of(["a" * 6, "b" * 4, "c" * 20, "", "d"]) == [
        [("a" * 6,), ("b" * 4,)],
        [("c" * 20,)],
        [("",), ("d",)],
    ]
    assert [len(window) for window in windows_of(["a"] * 6, ["b" * 4] * 6)] == [2, 2, 2]


def test_no_text_is_a_window_without_rows():
    assert windows_of([]) == [[]] and windows_of([], []) == [[]]


@pytest.mark.parametrize("kind", [list, tuple, np.array, iter])
def test_predictions_do_not_depend_on_windows(predictor, monkeypatch, kind):
    expected = predictor.predict(MANY)
    monkeypatch.setattr(text_windows, "WINDOW_ROWS", 4)
    found = predictor.predict(kind(MANY))
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    for counted in ("num_tokens", "truncated", "num_unknown"):
        assert np.array_equal(getattr(found, counted), getattr(expected, counted)), counted
    assert found.answers == expected.answers and len(list(found)) == len(MANY)


@pytest.mark.parametrize("output", ["cls", "average", "sequence"])
def test_vectors_do_not_depend_on_windows(encoder, monkeypatch, output):
    expected = encoder.encode(MANY, output=output)
    monkeypatch.setattr(text_windows, "WINDOW_ROWS", 4)
    found = encoder.encode(MANY, output=output)
    assert type(found) is type(expected) and len(found) == len(expected)
    for row, vector in zip(found, expected, strict=True):
        np.testing.assert_allclose(row, vector, atol=1e-5)


def test_sliding_texts_and_pairs(tiny_encoder, encoder, monkeypatch):
    model = tiny_model(tiny_encoder("cased"), TOPICS, text="q", text_pair="a")
    pairs = Predictor(model, precision="float32")
    expected = (
        encoder.encode(MANY, sequence_length=8, windows="slide"),
        pairs.predict(MANY, MANY[::-1]).scores,
    )
    monkeypatch.setattr(text_windows, "WINDOW_ROWS", 4)
    found = encoder.encode(MANY, sequence_length=8, windows="slide"), pairs.predict(MANY, MANY[::-1]).scores
    for some, others in zip(found, expected, strict=True):
        np.testing.assert_allclose(some, others, atol=1e-5)


def test_what_is_no_text_is_named_by_its_row_before_anything_is_computed(
    predictor, small_windows, monkeypatch
):
    monkeypatch.setattr(predictor, "predict_encoded", lambda *_, **__: pytest.fail("the work had begun"))
    with pytest.raises(DataError, match=r"row 9 is None .*row 11 is 3"):
        predictor.predict(["a"] * 9 + [None, "b", 3])
    monkeypatch.undo()
    with pytest.raises(DataError, match="Wrap one text in a list"):
        predictor.predict("a text of more than four letters")


def test_pairs_that_do_not_belong_together(tiny_encoder, small_windows):
    model = tiny_model(tiny_encoder("cased"), TOPICS, text="q", text_pair="a")
    pairs = Predictor(model, precision="float32")
    with pytest.raises(DataError, match="differ in length: 9 and 8"):
        pairs.predict(["a"] * 9, ["b"] * 8)
    with pytest.raises(DataError, match="pairs is a single str"):
        pairs.predict(["a"] * 9, "b" * 9)


def test_an_error_of_the_encoder_ends_the_thread(predictor, small_windows, monkeypatch):
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predictor, "predict_encoded", crash)
    with pytest.raises(KeyboardInterrupt):
        predictor.predict(MANY)


def test_lists_of_ids_are_taken_as_they_are(small_windows):
    predictor = Predictor(ids_model(), precision="float32")
    rows = [[i % 18 + 1, 2, 3] for i in range(10)]
    single = np.concatenate([predictor.predict([row]).scores for row in rows])
    np.testing.assert_allclose(predictor.predict(rows).scores, single, atol=1e-6)
    with pytest.raises(DataError, match="row 9: item 1 of the list is 77"):
        predictor.predict([*rows[:9], [77, 1, 2]])
