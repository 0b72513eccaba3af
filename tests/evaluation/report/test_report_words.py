"""Sentences: singular and plural, and no claim that the numbers do not carry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from report_samples import TASKS, report_data, rows_of

from bertblocks.blocks import Task
from bertblocks.evaluation.evaluated_rows import EvaluatedRows
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.metrics import metric_names
from bertblocks.evaluation.report import words
from bertblocks.evaluation.report.answers import LabelTallies
from bertblocks.evaluation.report.cautions import (
    cautions,
    few_rows,
    labels_without_rows,
    leakage_sentences,
    many_unknown,
    no_better_than_one_label,
    rows_skipped,
)
from bertblocks.evaluation.report.findings import find
from bertblocks.evaluation.report.metric_words import metric_in_sentence, metric_meaning, metric_name
from bertblocks.evaluation.report.phrases import (
    listed,
    number_interval,
    percent,
    quoted,
    shortened,
    significant,
    texts_interval,
    texts_of,
)
from bertblocks.evaluation.report.weak_groups import clearly_weaker
from bertblocks.evaluation.report_data import Leakage


def plain(sentence):
    """A sentence without what isolates letters from right to left."""
    return None if sentence is None else sentence.replace("\u2068", "").replace("\u2069", "")


def answered(labels, truth, answers, groups=None):
    """A report of given answers, each with the probability 0.8."""
    task = Task(kind="binary" if len(labels) == 2 else "classification", labels=labels)
    truth, answers = np.asarray(truth), np.asarray(answers)
    scores = np.full((len(truth), len(labels)), 0.2 / (len(labels) - 1), dtype=np.float32)
    scores[np.arange(len(truth)), answers] = 0.8
    names = tuple(sorted(set(groups or ())))
    codes = None if groups is None else np.array([names.index(group) for group in groups], dtype=np.int32)
    rows = EvaluatedRows(targets=truth, scores=scores, group_codes=codes, group_names=names)
    return report_data(task=task, rows=rows, leakage=None, with_intervals=True)


@pytest.mark.parametrize(
    ("share", "num_rows", "interval", "told"),
    [
        (0.87, 1_000, None, "87 of 100 texts"),
        (13 / 15, 15, (0.6, 0.96), "13 of 15 texts (95 % interval 9 to 14)"),
        (0.87, 400, (0.84, 0.9), "87 of 100 texts (95 % interval 84 to 90)"),
        (1.0, 12, (0.76, 1.0), "all 12 texts (95 % interval 9 to 12)"),
        (1.0, 1, None, "the only text"),
        (0.0, 1, None, "none of 1 text"),
        (0.0, 7, None, "none of 7 texts"),
        (0.996, 1_000, None, "996 of 1,000 texts"),
        (0.996, 500, None, "498 of 500 texts"),
        (0.999999, 1_000_000, None, "999,999 of 1,000,000 texts"),
        (0.8731, 1_000_000, (0.8724, 0.8738), "873 of 1,000 texts (95 % interval 872 to 874)"),
        (0.5, 100, (0.5, 0.5), "50 of 100 texts"),
        (0.5, 99, (0.4, 0.6), "50 of 99 texts (95 % interval 40 to 59)"),
    ],
)
def test_shares_of_texts(share, num_rows, interval, told):
    interval = None if interval is None else Interval(low=interval[0], high=interval[1])
    assert texts_of(share, num_rows, interval) + texts_interval(share, num_rows, interval) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"), (0.42, "0.42"), (0.04211, "0.0421"), (12.345, "12.3"), (999.9, "1,000"),
        (123456, "123,000"), (-0.5, "-0.5"), (1e-9, "1e-09"), (1e20, "1e+20"),
    ],
)  # fmt: skip
def test_numbers(value, told):
    assert significant(value) == told


def test_percent():
    told = [percent(share) for share in (0, 0.0001, 0.1234, 0.99999, 1)]
    assert told == ["0.0 %", "under 0.1 %", "12.3 %", "over 99.9 %", "100.0 %"]


def test_intervals_of_numbers():
    assert number_interval(Interval(low=0.4, high=0.44)) == " (95 % interval 0.4 to 0.44)"
    assert number_interval(None) == "" and number_interval(Interval(low=1.0, high=1.0)) == ""


def test_texts_of_users_in_sentences():
    assert quoted("a\n b") == "“\u2068a b\u2069”"
    assert len(quoted("x" * 10_000)) == 64
    assert shortened("x" * 10, 10) == "x" * 10 and shortened("x" * 11, 10) == "x" * 9 + "…"
    assert shortened(" " * 10**6 + "x", 10) == "…"
    assert [listed(list("abcdef")[:count]) for count in (1, 2, 4, 5)] == [
        "a",
        "a and b",
        "a, b, c and d",
        "a, b, c and 2 others",
    ]


def test_every_metric_has_a_name_and_a_meaning():
    for kind in TASKS:
        for name in metric_names(kind):
            assert metric_name(name) and metric_meaning(name)
    assert metric_in_sentence("micro_f1") == "micro F1"
    assert metric_in_sentence("pearson") == "Pearson correlation"
    assert metric_name("something_new") == "Something new"


def test_the_example():
    truth = [0] * 100 + [1] * 100 + [2] * 100
    answers = [0] * 80 + [1] * 20 + [1] * 94 + [0] * 6 + [2] * 97 + [1] * 3
    data = answered(("travel", "geography", "health"), truth, answers)
    found = [plain(sentence) for sentence in words.answer(data, find(data))]
    assert found == [
        "Right for 90 of 100 texts (95 % interval 86 to 93).",
        "Most often confuses “travel” with “geography”: 26 of 29 mistakes.",
    ]


@pytest.mark.parametrize(
    ("mistakes", "expected"),
    [
        ([(0, 1)] * 4, None),
        ([(0, 1)] * 3 + [(1, 0)] * 2, "Most often confuses “a” with “b”: 5 of 5 mistakes."),
        ([(0, 1)] * 5 + [(1, 2)] * 5, None),
        ([], None),
    ],
)
def test_confusions_are_told_where_there_are_enough(mistakes, expected):
    pairs = [(0, 0)] * 40 + mistakes
    data = answered(("a", "b", "c"), [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    assert plain(words.most_confused(data.task.labels, find(data).confusions)) == expected


def test_yes_and_no():
    def told(having, given, hits):
        columns = {
            name: np.array([0, value])
            for name, value in (("having", having), ("given", given), ("hits", hits))
        }
        return [plain(sentence) for sentence in words.yes_and_no("spam", LabelTallies(**columns))]

    assert told(200, 150, 140) == [
        "Finds 70 of 100 texts that are “spam”.",
        "Of 150 texts that it calls “spam”, 140 are.",
    ]
    assert told(1, 1, 1) == [
        "Finds the only text that is “spam”.",
        "Of 1 text that it calls “spam”, it is one.",
    ]
    assert told(3, 2, 0) == [
        "Finds none of 3 texts that are “spam”.",
        "Of 2 texts that it calls “spam”, none is.",
    ]
    assert told(3, 2, 2)[1] == "Of 2 texts that it calls “spam”, all are."
    assert told(3, 2, 1)[1] == "Of 2 texts that it calls “spam”, 1 is."
    assert told(3, 0, 0) == ["Finds none of 3 texts that are “spam”.", "It calls no text “spam”."]
    assert told(0, 0, 0) == []


def by_group(sizes_and_shares):
    """Groups of so many rows, of which such a share is right."""
    truth, answers, groups = [], [], []
    for name, (size, share) in sizes_and_shares.items():
        right = round(size * share)
        truth += [0] * size
        answers += [0] * right + [1] * (size - right)
        groups += [name] * size
    return answered(("a", "b", "c"), truth, answers, groups).evaluation


def test_the_weakest_group():
    evaluation = by_group({"am": (100, 0.61), "de": (400, 0.9), "fr": (400, 0.9)})
    assert plain(words.weakest_group(evaluation)) == "Weakest in language “am”: right for 61 of 100 texts."
    assert words.all_groups_alike(evaluation) is None


def test_two_weak_groups():
    evaluation = by_group({"am": (100, 0.5), "ti": (100, 0.6), "de": (400, 0.9), "fr": (400, 0.9)})
    assert plain(words.weakest_group(evaluation)).endswith(
        "1 other group is clearly weaker than the whole, too."
    )


def test_a_small_group_is_not_called_weak():
    evaluation = by_group({"am": (6, 0.5), "de": (400, 0.9), "fr": (400, 0.9)})
    assert words.weakest_group(evaluation) is None
    assert plain(words.all_groups_alike(evaluation)) == (
        "No language is clearly weaker than the whole: the lowest is “am”, right for 3 of 6 texts, "
        "too few rows to tell."
    )


def test_a_group_of_one_wrong_row_is_not_called_weak():
    evaluation = by_group({"am": (1, 0.0), "de": (99, 0.9)})
    assert clearly_weaker(evaluation) == ()


def test_the_worst_of_many_equal_groups_is_not_called_weak():
    rng = np.random.default_rng(0)
    truth = np.zeros(205 * 40, dtype=np.int64)
    answers = (rng.random(len(truth)) > 0.85).astype(np.int64)
    groups = [f"g{place % 205}" for place in range(len(truth))]
    assert clearly_weaker(answered(("a", "b", "c"), truth, answers, groups).evaluation) == ()


@pytest.mark.parametrize("kind", ["multilabel", "regression"])
def test_weak_groups_by_other_metrics(kind):
    task = TASKS[kind]
    strong, weak = (rows_of(task, 300, seed=1, skill=0.9), rows_of(task, 300, seed=2, skill=0.0))
    rows = EvaluatedRows(
        targets=np.concatenate([strong.targets, weak.targets]),
        scores=np.concatenate([strong.scores, weak.scores]),
        group_codes=np.repeat(np.array([0, 1], dtype=np.int32), 300),
        group_names=("good", "bad"),
    )
    evaluation = report_data(kind, rows=rows, with_intervals=True).evaluation
    assert [group.name for group in clearly_weaker(evaluation)] == ["bad"]
    assert "on 300 texts." in words.weakest_group(evaluation)


def test_one_group_is_compared_with_nothing():
    evaluation = by_group({"am": (100, 0.5)})
    assert words.weakest_group(evaluation) is None and words.all_groups_alike(evaluation) is None


def test_several_labels():
    data = report_data("multilabel")
    found = words.answer(data, find(data))
    assert found[0].startswith("Of the labels that it gives, ") and "micro F1" in found[0]
    assert found[1].startswith("Every label is right for ")
    values = data.evaluation.overall.values
    for precision, recall, told in (
        (None, 0.0, "The model gives no text a label."),
        (0.0, None, "No text has a label, so all labels that were given are wrong."),
    ):
        metrics = replace(
            data.evaluation.overall, values={**values, "micro_precision": precision, "micro_recall": recall}
        )
        assert words.labels_right(replace(data.evaluation, overall=metrics)) == told


def test_numbers_in_words():
    data = report_data("regression")
    found = words.answer(data, find(data))
    assert found[0].startswith("Off by 0.2") and " on average (95 % interval " in found[0]
    assert found[1].startswith("The correlation with the truth is 0.9")
    low = replace(
        data.evaluation.overall, values={**data.evaluation.overall.values, "pearson": None, "r2": -0.1}
    )
    told = list(words.correlation(replace(data.evaluation, overall=low)))
    assert told[0].startswith("The correlation with the truth is undefined")
    assert told[1] == "No nearer to the truth than always answering with its mean."


def test_few_rows():
    assert few_rows(100) is None
    assert few_rows(1).startswith("Only 1 row was evaluated")
    assert few_rows(99).startswith("Only 99 rows were evaluated")


def test_one_label_everywhere_is_as_good():
    data = answered(("a", "b", "c"), [0] * 60 + [1] * 40, [0] * 50 + [1] * 10 + [0] * 40)
    sentence = plain(no_better_than_one_label(data, find(data).tallies))
    assert (
        sentence == "Always answering “a” would be right for 60.0 % of these rows, the model is for 50.0 %."
    )
    better = answered(("a", "b", "c"), [0] * 60 + [1] * 40, [0] * 60 + [1] * 10 + [0] * 30)
    assert no_better_than_one_label(better, find(better).tallies) is None


def test_labels_without_rows():
    def tallies(*having):
        zeros = np.zeros(len(having), dtype=np.int64)
        return LabelTallies(having=np.array(having), given=zeros, hits=zeros)

    assert labels_without_rows(("a", "b", "c"), tallies(1, 1, 1)) is None
    assert plain(labels_without_rows(("a", "b", "c"), tallies(1, 0, 1))).startswith(
        "1 label does not occur in these rows: “b”."
    )
    assert plain(labels_without_rows(tuple("abcd"), tallies(1, 0, 1, 0))).startswith(
        "2 labels do not occur in these rows: “b” and “d”."
    )


def test_leakage():
    def told(**changes):
        counts = {"num_rows": 0, "num_distinct": 0, "num_repeated": 0, "num_other_truth": 0, "compared": True}
        return list(leakage_sentences(Leakage(**{**counts, **changes}), 200))

    assert told() == [] and list(leakage_sentences(None, 200)) == []
    assert told(num_rows=1, num_distinct=1)[0].startswith(
        "1 row has a text that the model was trained on (0.5 %)"
    )
    assert told(num_rows=12, num_other_truth=1)[0].endswith("1 of them has another truth there.")
    assert told(num_repeated=19) == []
    assert told(num_repeated=20)[0].startswith("20 rows repeat the text of an earlier row (10.0 %)")


def test_unknown_tokens():
    evaluation = report_data().evaluation
    assert evaluation.tokens is not None
    tokens = replace(evaluation.tokens, unknown_share=0.06)
    groups = tuple(
        replace(group, tokens=replace(group.tokens, unknown_share=share))
        for group, share in zip(evaluation.groups, (0.1, 0.3, 0.2, 0.0), strict=True)
    )
    told = [plain(sentence) for sentence in many_unknown(replace(evaluation, tokens=tokens, groups=groups))]
    assert told[0].startswith("6.0 % of all tokens are unknown")
    assert told[1].startswith("In language “group 0001” and “group 0002” a fifth or more")


def test_rows_skipped():
    evaluation = report_data().evaluation
    assert rows_skipped(replace(evaluation, skipped={})) is None
    assert rows_skipped(replace(evaluation, skipped={"x": 1})).startswith("1 row of the table was left out")
    assert rows_skipped(evaluation).startswith("3 rows of the table were left out")


def test_a_good_evaluation_has_nothing_to_warn_of():
    rows = replace(rows_of(TASKS["classification"], 240), tokens=None)
    data = report_data(rows=rows, leakage=None)
    data = replace(data, evaluation=replace(data.evaluation, skipped={}))
    assert cautions(data, find(data)) == ()
