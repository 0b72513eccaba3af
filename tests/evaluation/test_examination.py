"""Rows through a model: what is collected, the worst mistakes, and predictions.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from bertblocks.blocks import Task
from bertblocks.data import Example, encode_targets
from bertblocks.evaluation import LabeledChunk, evaluate_rows, examine
from bertblocks.evaluation.mistakes import Mistakes
from bertblocks.inference import Predictor
from tiny import tiny_model

HOSTILE = "</script><img src=x onerror=alert(1)> \x00 \u202e $x$"
TASKS = {
    "classification": (Task(kind="classification", labels=("a", "b", HOSTILE)), ["a", "b", HOSTILE]),
    "multilabel": (Task(kind="multilabel", labels=("x", "y")), [["x"], [], ["x", "y"]]),
    "regression": (Task(kind="regression", target_mean=5.0, target_scale=2.0), [1.5, 5.0, 9.25]),
}
WORDS = ("the film was bad", "a very good hotel", "slow and dear \ud800", HOSTILE, "cat", "cat")


def chunks(task, truths, num_rows, size):
    rows = [
        Example(row=n + 1, text=WORDS[n % len(WORDS)], target=truths[n % 3], group=("de", None, "sw")[n % 3])
        for n in range(num_rows)
    ]
    for start in range(0, num_rows, size):
        part = rows[start : start + size]
        numbers = [row.row for row in part]
        targets = encode_targets([row.target for row in part], task, column="t", rows=numbers)
        yield LabeledChunk(examples=part, targets=targets)


@pytest.fixture(params=TASKS)
def case(request, tiny_encoder):
    task, truths = TASKS[request.param]
    return Predictor(tiny_model(tiny_encoder("cased"), task), precision="float32"), task, truths


def test_chunks_make_no_difference(case, tmp_path):
    predictor, task, truths = case
    whole, parts = (
        examine(
            predictor,
            chunks(task, truths, 30, size),
            group_by="language",
            predictions=tmp_path / f"{size}.parquet",
        )
        for size in (30, 7)
    )
    np.testing.assert_allclose(whole.rows.scores, parts.rows.scores, atol=1e-6)
    assert np.array_equal(whole.rows.targets, parts.rows.targets)
    assert whole.leakage == parts.leakage and whole.leakage.num_repeated == 25
    assert whole.rows.group_names == ("(none)", "de", "sw")
    assert np.array_equal(whole.rows.group_codes, [(1, 0, 2)[n % 3] for n in range(30)])
    # Equal texts may differ in the last digits, and so change places.
    assert {mistake.row for mistake in whole.mistakes} == {mistake.row for mistake in parts.mistakes}
    sureness = [[mistake.confidence for mistake in found.mistakes] for found in (whole, parts)]
    np.testing.assert_allclose(*sureness, atol=1e-6)
    evaluation = evaluate_rows(task, parts.rows, group_by="language", with_intervals=False)
    assert [group.metrics.num_rows for group in evaluation.groups] == [10, 10, 10]


def test_every_row_is_written_with_answer_and_truth(case, tmp_path):
    predictor, task, truths = case
    path = tmp_path / "out" / "predictions.parquet"
    found = examine(predictor, chunks(task, truths, 9, 4), group_by="language", predictions=path)
    table = pq.read_table(path)
    assert table["row"].to_pylist() == list(range(1, 10))
    assert table["truth"].to_pylist() == truths * 3
    assert table["text"].to_pylist()[2] == "slow and dear ?"
    assert table["group"].to_pylist()[:3] == ["de", None, "sw"]
    expected = predictor.predict(list(WORDS)).answers
    answers = [tuple(a) if isinstance(a, list) else a for a in table["prediction"].to_pylist()[:6]]
    if task.kind == "regression":
        assert answers == pytest.approx(expected) and "right" not in table.column_names
    else:
        assert answers == expected
        pairs = zip(table["truth"].to_pylist(), table["prediction"].to_pylist(), strict=True)
        right = [truth == answer for truth, answer in pairs]
        assert table["right"].to_pylist() == right
        assert found.num_mistakes == right.count(False)


def test_an_error_leaves_no_half_written_predictions(case, tmp_path):
    predictor, task, truths = case

    def broken():
        yield from chunks(task, truths, 8, 4)
        raise OSError("the table is gone")

    with pytest.raises(OSError, match="the table is gone"):
        examine(predictor, broken(), predictions=tmp_path / "predictions.parquet")
    assert list(tmp_path.iterdir()) == []


def test_the_worst_mistakes_are_kept_in_order(case):
    predictor, task, truths = case
    everything, few = Mistakes(task, most=100), Mistakes(task, most=4)
    for chunk in chunks(task, truths, 30, 7):
        found = predictor.predict([example.text for example in chunk.examples])
        for mistakes in (everything, few):
            mistakes.add(chunk.examples, chunk.targets, found)
    assert few.num_found == everything.num_found == len(everything.worst())
    assert few.worst() == everything.worst()[:4]
    sureness = [mistake.confidence for mistake in everything.worst()]
    assert sureness == sorted(sureness, reverse=True) and min(sureness) > 0
