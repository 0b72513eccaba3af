"""What the pictures are drawn from: counts, curves, bins; compared with scikit-learn, and in slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_samples import TASKS, rows_of
from sklearn import metrics as sk

from bertblocks.blocks import Task
from bertblocks.evaluation import TokenCounts
from bertblocks.evaluation.evaluated_rows import EvaluatedRows
from bertblocks.evaluation.report import answers, curves
from bertblocks.evaluation.report.answers import (
    confusion_counts,
    confusions,
    tallies_of_confusion,
    tallies_of_labels,
)
from bertblocks.evaluation.report.curves import THRESHOLDS, label_curves, sample_rows, thinned
from bertblocks.evaluation.report.number_errors import error_counts, errors_by_size, joint_counts, padded
from bertblocks.evaluation.report.pictures import narrowed
from bertblocks.evaluation.report.plots_lengths import length_counts
from bertblocks.evaluation.report.section_mistakes import marked_text, words_in_words
from bertblocks.evaluation.report.training_curves import epoch_points, speed_curve, step_curve
from bertblocks.evaluation.report_data import WordWeight


@pytest.mark.parametrize("dense", [500, 1], ids=["dense", "sparse"])
@pytest.mark.parametrize("cells", [1 << 20, 7], ids=["at once", "in slices"])
def test_the_confusion_matrix_is_scikit_learns(monkeypatch, dense, cells):
    monkeypatch.setattr(answers, "_MAX_DENSE_LABELS", dense)
    monkeypatch.setattr(answers, "_SLICE_CELLS", cells)
    rows = rows_of(TASKS["classification"], 101)
    counts = confusion_counts(TASKS["classification"], rows)
    expected = sk.confusion_matrix(rows.targets, rows.scores.argmax(axis=1), labels=np.arange(4))
    assert (counts.toarray() == expected).all()
    tallies = tallies_of_confusion(counts)
    assert tallies.having.tolist() == expected.sum(axis=1).tolist()
    assert tallies.given.tolist() == expected.sum(axis=0).tolist()
    assert tallies.hits.tolist() == expected.diagonal().tolist()
    found = confusions(counts)
    assert sum(entry.num_rows for entry in found) == expected.sum() - expected.trace()
    assert [entry.num_rows for entry in found] == sorted((entry.num_rows for entry in found), reverse=True)
    assert all(expected[entry.truth, entry.answer] == entry.num_rows for entry in found)


def test_scores_in_a_file(tmp_path):
    rows = rows_of(TASKS["classification"], 101)
    np.save(tmp_path / "scores.npy", rows.scores)
    mapped = replace(rows, scores=np.load(tmp_path / "scores.npy", mmap_mode="r"))
    task = TASKS["classification"]
    assert (confusion_counts(task, mapped).toarray() == confusion_counts(task, rows).toarray()).all()
    assert not isinstance(sample_rows(mapped).scores, np.memmap)


def test_tallies_of_several_labels(monkeypatch):
    monkeypatch.setattr(answers, "_SLICE_CELLS", 10)
    task = TASKS["multilabel"]
    rows = rows_of(task, 50)
    given = rows.scores >= np.asarray(task.thresholds, dtype=np.float32)
    tallies = tallies_of_labels(task, rows)
    assert tallies.having.tolist() == (rows.targets > 0).sum(axis=0).tolist()
    assert tallies.given.tolist() == given.sum(axis=0).tolist()
    assert tallies.hits.tolist() == (given & (rows.targets > 0)).sum(axis=0).tolist()


def test_curves_are_scikit_learns():
    rows = rows_of(TASKS["binary"], 400)
    (curve,) = label_curves(TASKS["binary"], sample_rows(rows), [1])
    truth, scores = rows.targets == 1, rows.scores[:, 1]
    assert curve.roc_auc == pytest.approx(sk.roc_auc_score(truth, scores))
    assert curve.average_precision == pytest.approx(sk.average_precision_score(truth, scores))
    for threshold, row in zip(THRESHOLDS, curve.thresholds, strict=True):
        given = scores >= np.float32(threshold)
        assert row.recall == pytest.approx(given[truth].mean())
        assert row.false_alarms == pytest.approx(given[~truth].mean())
        expected = None if not given.any() else pytest.approx(truth[given].mean())
        assert row.precision == expected


def test_thresholds_beyond_all_scores():
    rows = EvaluatedRows(
        targets=np.array([0, 1, 1]), scores=np.array([[0.7, 0.3], [0.6, 0.4], [0.8, 0.2]], dtype=np.float32)
    )
    (curve,) = label_curves(TASKS["binary"], sample_rows(rows), [1])
    last = curve.thresholds[-1]
    assert (last.precision, last.recall, last.false_alarms) == (None, 0.0, 0.0)


def test_a_label_that_all_or_none_have_has_no_curve():
    rows = rows_of(TASKS["classification"], 20)
    sample = sample_rows(replace(rows, targets=np.zeros(20, dtype=np.int64)))
    assert list(label_curves(TASKS["classification"], sample, range(4))) == []


def test_of_many_rows_a_part(monkeypatch):
    monkeypatch.setattr(curves, "SAMPLE_ROWS", 50)
    rows = rows_of(TASKS["binary"], 400)
    sample = sample_rows(rows)
    assert sample.is_part and len(sample.targets) == len(sample.scores) == 50
    assert (sample.scores == sample_rows(rows).scores).all()
    assert not sample_rows(rows_of(TASKS["binary"], 50)).is_part


def test_labels_are_narrowed_in_the_middle():
    assert narrowed("short", 10) == "short"
    assert narrowed("intent_card_lost_13", 10) == "intent…_13"
    assert narrowed("日本語日本語", 12) == "日本語日本語" and narrowed("日本語日本語", 11) == "日本語…本語"
    assert len(narrowed("x" * 10**7, 5)) == 5


def test_long_curves_are_thinned():
    x = np.linspace(0, 1, 100_000)
    curve = thinned(x, x**3)
    assert len(curve.x) <= 302 and curve.x[0] == 0 and curve.x[-1] == 1
    assert np.abs(np.interp(x, curve.x, curve.y) - x**3).max() < 1e-4
    steps = thinned(np.zeros(1_000), np.ones(1_000))
    assert steps.x.tolist() == [0, 0]


def test_joint_and_error_counts_hold_every_row():
    rows = rows_of(TASKS["regression"], 5_000)
    assert joint_counts(rows).counts.sum() == 5_000
    errors = error_counts(rows)
    assert errors.counts.sum() == 5_000
    assert 0 < errors.num_beyond < 0.02 * 5_000
    # 0 lies in the middle of a bin.
    middle = errors.edges[:-1] + np.diff(errors.edges) / 2
    assert np.abs(middle).min() == pytest.approx(0, abs=1e-12)


def test_errors_by_size():
    rows = EvaluatedRows(targets=np.arange(100.0), scores=np.arange(100.0) + 2)
    sizes = errors_by_size(rows)
    assert [entry.num_rows for entry in sizes] == [10] * 10
    assert all(entry.mean_error == entry.mean_absolute_error == 2 for entry in sizes)
    assert (sizes[0].low, sizes[-1].high) == (0, 99)
    few = errors_by_size(EvaluatedRows(targets=np.array([1.0, 1.0, 2.0]), scores=np.zeros(3)))
    assert sum(entry.num_rows for entry in few) == 3
    ties = errors_by_size(EvaluatedRows(targets=np.array([1.0] * 90 + [2.0] * 10), scores=np.zeros(100)))
    assert sum(entry.num_rows for entry in ties) == 100


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (5, 5), (1e17, 1e17), (-1, 1), (1e-12, 2e-12), (-1e300, 1e300)]
)
def test_ranges_are_never_empty(low, high):
    start, end = padded(low, high)
    assert start < low and high < end


@pytest.mark.parametrize("longest", [2, 3, 50, 5_000, 10**7])
def test_lengths_hold_every_row(longest):
    num_tokens = np.concatenate([np.arange(2, 40), [longest, 0]])
    for limit in (None, 20, 10**6):
        counts = length_counts(
            TokenCounts(
                num_tokens=num_tokens,
                truncated=np.zeros(40, dtype=bool),
                num_unknown=np.zeros(40, dtype=np.int64),
                sequence_length=limit,
            )
        )
        assert counts.counts.sum() == 40
        assert (np.diff(counts.edges) > 0).all()
        assert counts.is_logarithmic == (longest > 1_000)


def test_marked_words():
    words = (
        WordWeight(start=4, end=8, weight=0.5),
        WordWeight(start=9, end=10, weight=-1.0),
        WordWeight(start=6, end=9, weight=0.4),
        WordWeight(start=11, end=99, weight=5.0),
        WordWeight(start=3, end=3, weight=1.0),
        WordWeight(start=-1, end=2, weight=1.0),
        WordWeight(start=0, end=1, weight=float("nan")),
        WordWeight(start=0, end=1, weight=0.0),
    )
    first = '<mark class="for-2" title="+0.50">&lt;b&gt;&amp;</mark>'
    second = '<mark class="against-4" title="−1.00">x</mark>'
    assert marked_text("the <b>& x", words) == f"the {first} {second}"
    told = words_in_words("the <b>& x", words).replace("\u2068", "").replace("\u2069", "")
    assert told == "For the answer: “<b>&” +0.50, “>& ” +0.40. Against it: “x” −1.00.".replace("& ”", "&”")
    assert marked_text("a < b", ()) == "a &lt; b" and words_in_words("a", ()) == ""


def test_step_curves():
    history = [
        {"event": "step", "step": step, "loss": float(step), "num_tokens": 10 * step, "seconds": 2.0}
        for step in range(1, 1_001)
    ]
    loss = step_curve(history, "loss")
    assert loss.steps_a_point == 4 and len(loss.steps) == 250
    assert loss.values[0] == 2.5 and loss.steps[0] == 4 and loss.steps[-1] == 1_000
    assert speed_curve(history[:3]).values.tolist() == [5.0, 10.0, 15.0]
    assert step_curve(history[:1], "loss") is None and step_curve(history, "other") is None
    cached = [{**line, "num_tokens": 0} for line in history]
    assert speed_curve(cached) is None


def test_epoch_points():
    history = [
        {"event": "epoch", "epoch": 1, "step": 9, "metrics": {"a": 1, "b": None, "c": True}, "best": True}
    ]
    (point,) = epoch_points(history)
    assert (point.epoch, point.step, dict(point.metrics), point.best) == (1, 9, {"a": 1.0}, True)


def test_ten_thousand_labels_are_counted_sparsely():
    task = Task(kind="classification", labels=tuple(map(str, range(10_000))))
    scores = np.zeros((50, 10_000), dtype=np.float32)
    scores[np.arange(50), np.arange(50) * 7] = 1
    rows = EvaluatedRows(targets=np.arange(50), scores=scores)
    assert confusion_counts(task, rows).sum() == 50
