"""Models compared on the same rows: by scores, and by a table."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bertblocks.blocks import Task
from bertblocks.data import open_table
from bertblocks.errors import ConfigError, DataError, ShapeError
from bertblocks.evaluation import (
    ModelScores,
    aligned,
    compare,
    compare_tables,
    comparison_sentences,
    comparison_tables,
    compute_metrics,
    examine_table,
    shortest_names,
)
from bertblocks.inference import Predictor, answers
from tiny import tiny_model
from tiny_ids import ids_model, write_json_lines
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv

TOPICS = Task(kind="classification", labels=tuple(CLUES))
TAGS = Task(kind="multilabel", labels=("CAT", "DOG"))


def sure(targets, num_labels, wrong=()):
    """Scores of 0.8 for the truth, and for another label in the rows that are wrong."""
    answered = np.array(targets)
    answered[list(wrong)] = (answered[list(wrong)] + 1) % num_labels
    rest = 0.2 / (num_labels - 1)
    return np.where(np.eye(num_labels)[answered] > 0, 0.8, rest).astype(np.float32)


@pytest.fixture
def three():
    """Of 100 rows the first model has 20 wrong, the second none, the third those and 5 more."""
    targets = np.arange(100) % 3
    return targets, {
        "one": ModelScores(task=TOPICS, scores=sure(targets, 3, range(20))),
        "two": ModelScores(task=TOPICS, scores=sure(targets, 3)),
        "three": ModelScores(task=TOPICS, scores=sure(targets, 3, range(25))),
    }


def test_every_model_against_the_first(three):
    targets, models = three
    found = compare(models, targets)
    assert (found.first, [other.name for other in found.others]) == ("one", ["two", "three"])
    two, worse = found.others
    assert two.differences["accuracy"].value == pytest.approx(0.2)
    assert worse.differences["accuracy"].value == pytest.approx(-0.05)
    assert (two.test.num_better, two.test.num_worse) == (20, 0)
    assert two.test.p_value == pytest.approx(2 / 2**20) and two.test.p_holm == pytest.approx(4 / 2**20)
    assert worse.test.p_value == worse.test.p_holm == pytest.approx(2 / 2**5)
    assert two.metrics == compute_metrics(TOPICS, targets=targets, scores=models["two"].scores)
    stored = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert stored["rows"] == 100 and stored["compared_metric"] == "accuracy"
    assert [other["model"] for other in stored["others"]] == ["two", "three"]
    assert compare(models, targets) == found


def test_sentences(three):
    targets, models = three
    better, worse = comparison_sentences(compare(models, targets))
    assert better.startswith("two is right for 20.0 of 100 rows more than one (95 % interval 1")
    assert better.endswith(
        "Chance hardly does that: of models that are equally good, 1 of 260,000 pairs would differ as much "
        "(McNemar's exact test, corrected by Holm for 2 comparisons)."
    )
    assert worse.startswith("three is right for 5.0 of 100 rows fewer than one (95 % interval 1.0 to ")
    assert worse.endswith(
        "That may be chance: of models that are equally good, 6 of 100 pairs would differ as much (McNemar's "
        "exact test, corrected by Holm for 2 comparisons)."
    )
    (same,) = comparison_sentences(compare({"a": models["one"], "b": models["one"]}, targets))
    assert same == (
        "b is right for as many rows as a (95 % interval 0.0 to 0.0). No row is answered better by one of "
        "them."
    )


def test_sentences_of_other_tasks():
    targets = np.arange(40.0)
    task = Task(kind="regression")
    models = {
        "near": ModelScores(task=task, scores=targets + np.tile([1.0, -1.0], 20)),
        "far": ModelScores(task=task, scores=targets + np.tile([3.0, -3.0], 20)),
    }
    (said,) = comparison_sentences(compare(models, targets))
    assert said.startswith(
        "far is off by 3.0000 on average, 2.0000 more than near (95 % interval 2.0000 to 2"
    )
    assert "Chance hardly does that" in said and "Wilcoxon's signed-rank test)" in said
    truth = np.tile([[1, 0], [0, 1]], (20, 1)).astype(np.float32)
    models = {
        "all": ModelScores(task=TAGS, scores=np.full((40, 2), 0.9, dtype=np.float32)),
        "right": ModelScores(task=TAGS, scores=truth),
    }
    (said,) = comparison_sentences(compare(models, truth))
    assert said.startswith(
        "The micro F1 of right is 1.0000, 0.3333 above that of all (95 % interval 0.3333 to"
    )


def test_groups_are_corrected_together(three):
    targets, models = three
    groups = {"a": np.arange(0, 50), "b": np.arange(50, 99), "c": np.array([99])}
    found = compare(models, targets, group_by="g", groups=groups)
    by_name = {group.name: group for group in found.others[0].groups}
    assert [group.num_rows for group in found.others[0].groups] == [50, 49, 1]
    assert by_name["a"].difference.value == pytest.approx(0.4)
    assert (by_name["a"].first, by_name["a"].other) == (pytest.approx(0.6), 1.0)
    # Six tests stand side by side: three groups of two models.
    assert by_name["a"].test.p_holm == pytest.approx(6 * by_name["a"].test.p_value)
    assert by_name["b"].test.p_value == 1.0 and by_name["c"].difference.interval is None
    said = comparison_sentences(found)
    assert said[1] == (
        "By g: two is better in 1 group and worse in 0; in the other 2 the difference may be chance (p "
        "corrected by Holm for 6 tests, at least 0.05)."
    )
    tables = comparison_tables(found)
    assert [len(table.rows) for table in tables] == [4, 3, 4, 3]
    assert tables[1].columns == ("g", "rows", "one", "two", "difference", "from", "to", "p", "p by Holm")
    assert tables[3].rows[0][0] == "a", "the group that it loses most in stands first"
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}
    json.dumps(found.to_json(), allow_nan=False)


def test_skipped_rows_have_a_table(three):
    targets, models = three
    found = compare(models, targets, skipped={"unknown label": 3})
    assert comparison_tables(found)[-1].rows == (("unknown label", 3),)
    assert found.to_json()["skipped"] == {"unknown label": 3}


class TestAnotherOrderOfLabels:
    def test_of_classes(self):
        turned = Task(kind="classification", labels=tuple(reversed(TOPICS.labels)), temperature=2.0)
        scores = np.random.default_rng(0).dirichlet(np.ones(3), 20)
        found = aligned(turned, scores, TOPICS)
        assert found.task == replace(TOPICS, temperature=2.0)
        assert answers(found.task, found.scores) == answers(turned, scores)

    def test_of_several_labels(self):
        task = Task(
            kind="multilabel", labels=("a", "b", "c"), thresholds=(0.1, 0.5, 0.9), temperatures=(1, 2, 3)
        )
        reference = Task(kind="multilabel", labels=("c", "a", "b"))
        scores = np.random.default_rng(0).random((20, 3))
        found = aligned(task, scores, reference)
        assert (found.task.thresholds, found.task.temperatures) == ((0.9, 0.1, 0.5), (3, 1, 2))
        assert [set(row) for row in answers(found.task, found.scores)] == [
            set(row) for row in answers(task, scores)
        ]

    def test_of_numbers(self):
        task, scores = Task(kind="regression", target_mean=2.0), np.arange(3.0)
        assert aligned(task, scores, Task(kind="regression")).scores is scores


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Task(kind="regression"), "one is a classification model, two a regression model"),
        (
            Task(kind="classification", labels=("bad", "ugly")),
            "of the labels, one alone knows 'colour', 'good'; two alone knows 'ugly'",
        ),
        (
            Task(kind="classification", labels=(*CLUES, *(f"l{i:02}" for i in range(12)))),
            "two alone knows 'l00', 'l01', .* and 2 more",
        ),
    ],
)
def test_other_questions_are_refused(three, other, message):
    targets, models = three
    with pytest.raises(ConfigError, match=message):
        compare({**models, "two": ModelScores(task=other, scores=models["two"].scores)}, targets)


def test_wrong_arguments(three):
    targets, models = three
    with pytest.raises(ConfigError, match="at least two models"):
        compare({"one": models["one"]}, targets)
    with pytest.raises(ConfigError, match="at least two models"):
        compare({}, targets)
    with pytest.raises(ShapeError):
        compare({**models, "two": replace(models["two"], scores=models["two"].scores[:5])}, targets)
    with pytest.raises(DataError, match="not finite"):
        compare({**models, "two": replace(models["two"], scores=models["two"].scores * np.nan)}, targets)


def test_names_by_the_last_parts_of_paths():
    assert shortest_names(["a/x", "b/y/"]) == ["x", "y"]
    assert shortest_names(["a/model", "b/model"]) == ["a/model", "b/model"]
    assert shortest_names(["p/a/model", "q/a/model"]) == ["p/a/model", "q/a/model"]
    assert shortest_names(["model", "b/model"]) == ["model", "b/model"]
    assert shortest_names(["a/x", "a/x"]) == ["x", "x"]
    assert shortest_names(["C:\\m\\x", "x.zip"]) == ["x", "x.zip"]


class TestTables:
    @pytest.fixture
    def predictor(self, tiny_encoder):
        def make(task, seed=0, **options):
            return Predictor(
                tiny_model(tiny_encoder("cased"), task, seed=seed, **options),
                precision="float32",
                device="cpu",
            )

        return make

    @pytest.fixture
    def table(self, tmp_path):
        texts, labels = class_texts(60, tuple(CLUES), seed=3)
        groups = ["[red]", "b", ""] * 20
        return open_table(
            str(write_csv(tmp_path / "t.csv", {"text": texts, "target": labels, "origin": groups}))
        )

    def test_figures_are_those_of_an_evaluation(self, predictor, table):
        models = {"a": predictor(TOPICS), "b": predictor(TOPICS, seed=1)}
        batches = []
        found = compare_tables(models, table, group_by="origin", on_batch=batches.append)
        evaluations = {name: examine_table(model, table).evaluation for name, model in models.items()}
        assert found.metrics == evaluations["a"].overall
        assert found.others[0].metrics == evaluations["b"].overall
        assert [group.name for group in found.others[0].groups] == ["(none)", "[red]", "b"]
        assert sum(batches) == 60

    def test_labels_in_another_order(self, predictor, table):
        turned = replace(TOPICS, labels=tuple(reversed(TOPICS.labels)))
        found = compare_tables({"a": predictor(TOPICS), "b": predictor(turned, seed=1)}, table)
        alone = examine_table(predictor(turned, seed=1), table).evaluation
        for name, value in found.others[0].metrics.values.items():
            assert value == pytest.approx(alone.overall[name])

    def test_rows_of_a_label_that_the_models_do_not_know(self, predictor, tmp_path):
        path = write_csv(
            tmp_path / "t.csv", {"text": ["a film", "food", "the dog"], "target": ["bad", "ugly", "good"]}
        )
        models = {"a": predictor(TOPICS), "b": predictor(TOPICS, seed=1)}
        with pytest.raises(DataError, match="the label 'ugly' is unknown"):
            compare_tables(models, open_table(str(path)))
        said = []
        found = compare_tables(models, open_table(str(path)), on_bad_row="skip", say=said.append)
        assert found.metrics.num_rows == 2 and found.to_json()["skipped"] == {"unknown label": 1}
        assert "1 of 3 rows was left out" in said[0]

    def test_several_labels(self, predictor, tmp_path):
        texts, lists = label_lists(40)
        path = write_csv(tmp_path / "t.csv", {"text": texts, "target": ["|".join(row) for row in lists]})
        tuned = replace(TAGS, thresholds=(0.2, 0.8))
        said = []
        found = compare_tables(
            {"a": predictor(TAGS), "b": predictor(tuned)},
            open_table(str(path)),
            label_separator="|",
            say=said.append,
        )
        assert found.compared_metric == "micro_f1" and "10 rows have no label" in said[0]
        # Thresholds are each model's own; the probabilities are equal.
        assert found.others[0].differences["macro_average_precision"].value == 0.0
        assert found.others[0].differences["micro_f1"].value != 0.0

    def test_numbers_of_models_with_other_scales(self, predictor, tmp_path):
        texts, values = numbers(40)
        path = write_csv(tmp_path / "t.csv", {"text": texts, "target": [value + 0.5 for value in values]})
        models = {
            "a": predictor(Task(kind="regression", target_mean=100.0, target_scale=10.0)),
            "b": predictor(Task(kind="regression", target_mean=115.0, target_scale=2.0), seed=1),
        }
        found = compare_tables(models, open_table(str(path)))
        alone = examine_table(models["b"], open_table(str(path))).evaluation
        for name, value in found.others[0].metrics.values.items():
            assert value == pytest.approx(alone.overall[name])

    def test_models_that_read_other_columns(self, predictor, table):
        models = {"a": predictor(TOPICS), "b": predictor(TOPICS, text="review", target="stars")}
        with pytest.raises(ConfigError, match=r"a on 'text' and b on 'review': say .* text='text'"):
            compare_tables(models, table, target="target")
        with pytest.raises(ConfigError, match=r"a on 'target' and b on 'stars': say .* target='target'"):
            compare_tables(models, table, text="text")
        compare_tables(models, table, text="text", target="target")

    def test_models_that_read_other_things(self, predictor, table):
        models = {"a": predictor(TOPICS), "b": predictor(TOPICS, text_pair="second")}
        with pytest.raises(ConfigError, match="a takes single texts, b takes pairs of texts"):
            compare_tables(models, table)
        pairs = {"a": predictor(TOPICS, text_pair="origin"), "b": predictor(TOPICS, text_pair="second")}
        with pytest.raises(ConfigError, match="text_pair='origin'"):
            compare_tables(pairs, table)
        found = compare_tables(pairs, table, text_pair="origin", on_bad_row="skip")
        assert found.metrics.num_rows == 40

    def test_options_without_effect(self, predictor, table):
        models = {"a": predictor(TOPICS), "b": predictor(TOPICS)}
        with pytest.raises(
            ConfigError, match="text_pair and ids has no effect: these models take single texts"
        ):
            compare_tables(models, table, text_pair="x", ids="y")
        with pytest.raises(
            ConfigError, match="label_separator has no effect: these are classification models"
        ):
            compare_tables(models, table, label_separator="|")

    def test_lists_of_ids(self, tmp_path):
        columns = {"events": [[1, 2, 3], [4, 5, 6, 7], [2, 2, 2]] * 10, "label": ["no", "yes", "no"] * 10}
        table = open_table(write_json_lines(tmp_path / "in.jsonl", columns))
        models = {
            name: Predictor(ids_model(seed=seed), precision="float32", device="cpu")
            for seed, name in enumerate("ab")
        }
        found = compare_tables(models, table)
        assert found.metrics.num_rows == 30
