"""Groups, token counts and tables of an evaluation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.errors import ConfigError, DataError, ShapeError
from bertblocks.evaluation import (
    METRICS_FILE,
    BaselineResult,
    TokenCounts,
    compute_metrics,
    evaluate,
    format_cell,
    stored_baseline,
    summary_tables,
    threshold_note,
    token_statistics,
    verdict,
)
from bertblocks.evaluation.chance import may_be_chance

TASKS = {
    "classification": Task(kind="classification", labels=("cat", "dog", "owl")),
    "binary": Task(kind="binary", labels=("no", "yes")),
    "multilabel": Task(kind="multilabel", labels=("red", "big")),
    "regression": Task(kind="regression"),
}


def rows_of(task, num_rows, seed=0):
    rng = np.random.default_rng(seed)
    if task.kind == "regression":
        targets = rng.normal(size=num_rows)
        return targets, targets + rng.normal(size=num_rows)
    if task.kind == "multilabel":
        return rng.integers(0, 2, (num_rows, 2)).astype(np.float32), rng.random((num_rows, 2))
    return rng.integers(0, task.num_outputs, num_rows), rng.dirichlet(np.ones(task.num_outputs), num_rows)


def counts_of(num_rows, seed=0):
    rng = np.random.default_rng(seed)
    num_tokens = rng.integers(2, 30, num_rows)
    return TokenCounts(
        num_tokens=num_tokens,
        truncated=num_tokens > 20,
        num_unknown=rng.integers(0, 2, num_rows),
        sequence_length=20,
    )


@pytest.fixture
def by_language():
    # German: 3 of 4 right; English: all right; no language: wrong.
    targets = np.array([0, 0, 1, 1, 0, 1, 0])
    answers = np.array([0, 0, 1, 0, 0, 1, 1])
    return evaluate(
        TASKS["classification"],
        targets=targets,
        scores=np.eye(3)[answers],
        tokens=counts_of(7),
        group_by="language",
        groups=["de", "de", "de", "de", "en", "en", None],
        skipped={"empty text": 2},
    )


@pytest.mark.parametrize("kind", TASKS)
def test_a_group_has_the_metrics_of_its_rows_alone(kind):
    task = TASKS[kind]
    targets, scores = rows_of(task, 60)
    counts = counts_of(60)
    groups = np.random.default_rng(5).choice(["sw", "de", "zh", "a b"], 60)
    found = evaluate(task, targets=targets, scores=scores, tokens=counts, group_by="g", groups=list(groups))
    assert [group.name for group in found.groups] == ["a b", "de", "sw", "zh"]
    assert sum(group.metrics.num_rows for group in found.groups) == 60
    for group in found.groups:
        rows = np.flatnonzero(groups == group.name)
        assert group.metrics == compute_metrics(task, targets=targets[rows], scores=scores[rows])
        assert group.tokens == token_statistics(counts.take(rows))
    assert found.overall == compute_metrics(task, targets=targets, scores=scores)
    json.dumps(found.to_json(), allow_nan=False)


def test_groups_by_hand(by_language):
    accuracy = {group.name: group.metrics["accuracy"] for group in by_language.groups}
    assert accuracy == {"(none)": 0.0, "de": 0.75, "en": 1.0}
    assert [group.name for group in by_language.worst_groups()] == ["(none)", "de", "en"]
    assert [group.name for group in by_language.worst_groups("log_loss")] == ["(none)", "de", "en"]
    with pytest.raises(ConfigError, match="no metric 'pearson'; it has accuracy"):
        by_language.worst_groups("pearson")


def test_groups_without_the_metric_come_last():
    task = TASKS["regression"]
    found = evaluate(
        task,
        targets=np.array([1.0, 1.0, 1.0, 2.0]),
        scores=np.array([1.0, 2.0, 2.0, 1.0]),
        group_by="g",
        groups=["constant", "constant", "varied", "varied"],
    )
    assert [group.name for group in found.worst_groups()] == ["varied", "constant"]
    assert found.groups[0].metrics["pearson"] is None


def test_json_form(by_language):
    stored = json.loads(json.dumps(by_language.to_json(), allow_nan=False))
    assert stored["task"] == "classification"
    assert stored["primary_metric"] == "accuracy"
    assert stored["rows"] == 7
    assert stored["metrics"]["accuracy"] == by_language.primary == pytest.approx(5 / 7)
    assert [row["label"] for row in stored["per_class"]] == ["cat", "dog", "owl"]
    assert stored["group_by"] == "language"
    assert {group["group"]: group["rows"] for group in stored["groups"]} == {"(none)": 1, "de": 4, "en": 2}
    assert stored["skipped"] == {"empty text": 2}
    assert (stored["baseline"], stored["baseline_rows"]) == (None, None)


def test_chosen_thresholds_stand_beside_what_a_half_gives():
    task = Task(kind="multilabel", labels=("red", "big"), thresholds=(0.2, 0.5))
    targets = np.array([[1, 0], [1, 1], [0, 1]])
    scores = np.array([[0.3, 0.4], [0.25, 0.9], [0.1, 0.6]])
    found = evaluate(task, targets=targets, scores=scores, fitted_rows="same", skipped_in_training={"a": 2})
    assert found.overall["micro_f1"] == 1.0
    half = compute_metrics(TASKS["multilabel"], targets=targets, scores=scores)
    stored = found.to_json()
    assert stored["thresholds"] == {
        "by_label": {"red": 0.2, "big": 0.5},
        "rows": "same",
        "num_rows": 3,
        "metrics_at_half": dict(half.values),
    }
    assert threshold_note(found) == (
        "The labels' thresholds were chosen on these 3 rows, so that their figures are somewhat too good; "
        "from 0.5 on for every label, micro_f1 is 0.6667."
    )
    assert (stored["skipped"], stored["skipped_in_training"]) == ({}, {"a": 2})
    assert summary_tables(found)[-1].title == "Rows left out of the training table"
    on_others = evaluate(task, targets=targets, scores=scores)
    assert on_others.to_json()["thresholds"]["num_rows"] is None and threshold_note(on_others) is None
    plain = evaluate(TASKS["multilabel"], targets=targets, scores=scores, fitted_rows="same")
    assert plain.thresholds is None and threshold_note(plain) is None
    assert plain.to_json()["skipped_in_training"] is None


def test_rows_in_windows_are_counted_and_shown():
    counts = TokenCounts(
        num_tokens=np.array([4, 21, 30]),
        truncated=np.zeros(3, dtype=bool),
        num_unknown=np.array([0, 5, 6]),
        sequence_length=20,
        in_windows=True,
    )
    found = token_statistics(counts)
    assert (found.num_in_windows, found.num_truncated, found.unknown_share) == (2, 0, 11 / 55)
    assert token_statistics(counts.take(np.array([0]))).num_in_windows == 0
    numbers = np.array([1.0, 2.0, 3.0])
    tables = summary_tables(evaluate(TASKS["regression"], targets=numbers, scores=numbers, tokens=counts))
    assert tables[-1].columns[:3] == ("rows cut", "cut share", "rows in windows")
    assert tables[-1].rows[0][:3] == (0, 0.0, 2)


def test_token_statistics_by_hand():
    found = token_statistics(
        TokenCounts(
            num_tokens=np.array([4, 6, 30, 10]),
            truncated=np.array([False, False, True, False]),
            num_unknown=np.array([0, 1, 2, 0]),
            sequence_length=20,
        )
    )
    assert (found.num_rows, found.num_truncated, found.truncated_share) == (4, 1, 0.25)
    assert found.num_in_windows == 0
    # Of the cut text only 20 tokens were read.
    assert found.unknown_share == 3 / (4 + 6 + 20 + 10)
    assert (found.median_tokens, found.max_tokens) == (8.0, 30)
    assert 10 < found.p95_tokens < 30


def test_wrong_arguments():
    task = TASKS["regression"]
    numbers = np.array([1.0, 2.0])
    with pytest.raises(ConfigError, match="belong together"):
        evaluate(task, targets=numbers, scores=numbers, groups=["a", "b"])
    with pytest.raises(ShapeError, match="each of 2 rows, but there are 1"):
        evaluate(task, targets=numbers, scores=numbers, group_by="g", groups=["a"])
    with pytest.raises(ShapeError, match=r"num_tokens has the shape \(3,\); truncated has the shape \(3,\)"):
        evaluate(task, targets=numbers, scores=numbers, tokens=counts_of(3))


def test_a_column_of_ids_is_no_group():
    task = TASKS["regression"]
    numbers = np.arange(2_001.0)
    with pytest.raises(DataError, match="column 'id' has more than 2,000 different values: group by"):
        evaluate(task, targets=numbers, scores=numbers, group_by="id", groups=[str(i) for i in range(2_001)])


def with_baseline(accuracy, rows):
    task = TASKS["binary"]
    targets = np.array([0, 1, 0, 1])
    cheap = compute_metrics(task, targets=targets, scores=np.eye(2)[[0, 1, 0, 0]])
    baseline = BaselineResult(
        metrics=cheap, seconds=0.1, num_train_rows=10, num_available_rows=10, description="cheap"
    )
    answers = [0, 1, 0, 1] if accuracy == 1.0 else [1, 0, 0, 1]
    return evaluate(task, targets=targets, scores=np.eye(2)[answers], baseline=baseline, baseline_rows=rows)


def test_tables_show_the_gain_over_the_baseline():
    table = summary_tables(with_baseline(1.0, "same"))[0]
    assert table.columns == ("metric", "model", "baseline", "better by")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["accuracy"] == (1.0, 0.75, 0.25)
    model, cheap, better = rows["log_loss"]
    assert better == cheap - model > 0


def test_tables_claim_no_gain_over_a_baseline_on_other_rows():
    evaluation = with_baseline(1.0, "other")
    assert summary_tables(evaluation)[0].columns == ("metric", "model", "baseline (held out in training)")
    assert verdict(evaluation) == (
        "accuracy 1.000 on these rows. The baseline had 0.750 on other rows, those held out in training: "
        "compare the two only roughly."
    )
    assert evaluation.to_json()["baseline_rows"] == "other"


def test_verdict():
    assert verdict(with_baseline(1.0, "same")) == (
        "Better than the cheap baseline by 0.250: accuracy 1.000 against 0.750 of the baseline, on 4 rows, "
        "where chance alone may do as much."
    )
    assert verdict(with_baseline(0.5, "same")).startswith(
        "Not better than the cheap baseline: accuracy 0.500"
    )


@pytest.mark.parametrize(
    ("metric", "figures", "num_rows", "expected"),
    [
        ("accuracy", (0.867, 0.367), 30, False),
        ("accuracy", (0.867, 0.767), 30, True),
        # 100 points of accuracy on 4 rows are no chance, a fifth of them on 1,000 rows is none either.
        ("accuracy", (1.0, 0.0), 4, False),
        ("accuracy", (0.80, 0.78), 1_000, True),
        ("accuracy", (0.80, 0.60), 1_000, False),
        ("micro_f1", (0.7, 0.7), 10, True),
        ("pearson", (0.9, 0.3), 50, False),
        ("pearson", (0.5, 0.4), 50, True),
        ("pearson", (1.0, 0.99), 3, True),
        ("pearson", (1.0, 0.5), 30, False),
    ],
)
def test_chance_depends_on_the_difference_and_the_rows(metric, figures, num_rows, expected):
    assert may_be_chance(metric, *figures, num_rows) is expected
    assert may_be_chance(metric, *reversed(figures), num_rows) is expected


def test_a_perfect_baseline_leaves_nothing_to_gain():
    task = TASKS["binary"]
    targets = np.array([0, 1, 0, 1])
    scores = np.eye(2)[targets]
    cheap = compute_metrics(task, targets=targets, scores=scores)
    baseline = BaselineResult(
        metrics=cheap, seconds=0.1, num_train_rows=10, num_available_rows=10, description="cheap"
    )
    found = verdict(evaluate(task, targets=targets, scores=scores, baseline=baseline))
    assert found == (
        "Not better than the cheap baseline, on 4 rows that leave nothing to gain: accuracy 1.000 "
        "against 1.000 of the baseline. Evaluate on more or harder rows, or use something simpler."
    )
    # A model that makes mistakes has something to gain, whatever the baseline is.
    wrong = evaluate(task, targets=targets, scores=scores[::-1], baseline=baseline)
    assert "Train longer or on more rows" in verdict(wrong)


def test_no_verdict_without_a_baseline(by_language):
    assert verdict(by_language) is None


def test_summary_tables(by_language):
    overall, classes, groups, tokens, left_out = summary_tables(by_language)
    assert overall.columns == ("metric", "model")
    assert [row[0] for row in classes.rows] == ["cat", "dog", "owl"]
    assert groups.columns == ("language", "rows", "accuracy", "macro_f1", "cut share", "unknown share")
    assert [row[:3] for row in groups.rows] == [("(none)", 1, 0.0), ("de", 4, 0.75), ("en", 2, 1.0)]
    assert tokens.rows[0][0] == by_language.tokens.num_truncated
    assert left_out.rows == (("empty text", 2),)
    for table in (overall, classes, groups, tokens, left_out):
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize("kind", TASKS)
def test_tables_without_the_optional_parts(kind):
    task = TASKS[kind]
    targets, scores = rows_of(task, 5)
    titles = [table.title for table in summary_tables(evaluate(task, targets=targets, scores=scores))]
    assert titles == (["All 5 rows"] if kind == "regression" else ["All 5 rows", "By class"])


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (None, "f1", "-"),
        ("de", "language", "de"),
        (12345, "rows", "12,345"),
        (0.07312, "cut share", "7.3%"),
        (0, "cut share", "0.0%"),
        (0.73125, "accuracy", "0.7312"),
        (-0.5, "better by", "-0.5000"),
        (1234.5, "mae", "1,234"),
    ],
)
def test_format_cell(value, column, text):
    assert format_cell(value, column) == text


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"baseline": 5}', '{"baseline": {"metrics": 5}}', "not JSON", '{"baseline": NaN}'],
    ids=["deep", "number", "half", "text", "NaN"],
)
def test_a_damaged_baseline_is_refused(content, tmp_path):
    (tmp_path / METRICS_FILE).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"is not what training writes .* remove it"):
        stored_baseline(tmp_path)


def test_a_baseline_of_texts_is_refused(tmp_path):
    baseline = {"metrics": {"num_rows": 1, "values": {"accuracy": "high"}, "per_class": []}, "seconds": 1.0}
    (tmp_path / METRICS_FILE).write_text(json.dumps({"baseline": baseline}), encoding="utf-8")
    with pytest.raises(DataError, match="is not what training writes"):
        stored_baseline(tmp_path)
