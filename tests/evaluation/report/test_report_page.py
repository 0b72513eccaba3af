"""The whole page: every kind of task, and what users may have written."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from reading_html import read_html
from report_samples import HISTORY, HOSTILE, TASKS, mistakes_of, report_data, rows_of

from bertblocks.blocks import Task
from bertblocks.evaluation.report import report_html, write_report
from bertblocks.evaluation.report.page import PICTURE_NAMES, make_report
from bertblocks.evaluation.report.plots_lengths import length_counts, lengths_picture
from bertblocks.evaluation.report_data import Leakage

KINDS = sorted(TASKS)


def checked(data):
    """The page of a report, after all that must hold of every page."""
    report = make_report(data)
    page = read_html(report.html)
    ids = [element.attributes["id"] for element in _walk(page) if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    _check_references(page, set(ids))
    _check_pictures(page, report.pictures)
    _check_headings(page)
    _check_tables(page)
    # A link that leads out of the page, a request, or a colour that only one theme can read.
    assert not re.search(r"https?://", report.html)
    assert not re.search(r"<(img|iframe|object|embed|audio|video)\b|\bon[a-z]+=\"", report.html)
    for drawing in page.all("svg"):
        assert not drawing.all("style")
    assert not re.search(r"(fill|stroke): #7e00", report.html)
    report.html.encode("utf-8")
    return page


def _walk(element):
    yield element
    for child in element.children:
        yield from _walk(child)


def _check_references(page, ids):
    for element in _walk(page):
        for name in ("href", "aria-labelledby", "clip-path"):
            value = element.attributes.get(name) or ""
            for reference in re.findall(r"#([^)\"]+)", value) if name != "aria-labelledby" else value.split():
                assert reference in ids, (element.tag, name, value)


def _check_pictures(page, pictures):
    drawings = page.all("svg")
    assert len(drawings) == len(pictures)
    assert {picture.name for picture in pictures} <= set(PICTURE_NAMES)
    assert len({picture.name for picture in pictures}) == len(pictures)
    for drawing in drawings:
        assert drawing.attributes["role"] == "img" and drawing.children[0].tag == "title"
        assert drawing.children[0].text
        figure = drawing
        while figure.tag != "figure":
            figure = figure.parent
        (details,) = figure.all("details")
        assert details.children[0].tag == "summary"
        assert details.all("table")[0].all("td"), "a picture without numbers"
        assert figure.all("figcaption")[0].text
    for picture in pictures:
        root = ElementTree.fromstring(picture.file())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not re.search(r"(fill|stroke): (#7e00|var)", picture.file())


def _check_headings(page):
    levels = [int(element.tag[1]) for element in _walk(page) if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels
    assert len(page.all("main")) == 1 and len(page.all("nav")) == 1 and len(page.all("header")) == 1


def _check_tables(page):
    for table in page.all("table"):
        assert table.children[0].tag == "caption"
        (head,) = table.all("thead")
        columns = len(head.all("th"))
        for row in table.all("tbody")[0].all("tr"):
            assert len(row.children) == columns
            assert row.children[0].tag == "th" and row.children[0].attributes["scope"] == "row"


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_report(kind):
    page = checked(report_data(kind))
    names = [link.attributes["href"] for link in page.all("nav")[0].all("a")]
    own = {
        "classification": "#confusion",
        "binary": "#confusion",
        "multilabel": "#labels",
        "regression": "#errors",
    }
    assert own[kind] in names
    assert {"#figures", "#groups", "#data", "#mistakes", "#run"} <= set(names)
    assert "topics on test.csv" in page.all("h1")[0].text


@pytest.mark.parametrize("kind", KINDS)
def test_without_all_that_may_be_missing(kind):
    page = checked(report_data(kind, bare=True))
    names = [link.attributes["href"] for link in page.all("nav")[0].all("a")]
    assert not {"#groups", "#mistakes", "#run"} & set(names)
    assert "No baseline was measured" in page.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_rows", [1, 2])
def test_few_rows(kind, num_rows):
    page = checked(report_data(kind, num_rows))
    assert f"Only {num_rows} row" in page.text


@pytest.mark.parametrize("kind", KINDS)
def test_what_users_wrote_stays_text(kind):
    task = TASKS[kind]
    labels = HOSTILE[: len(task.labels)] if task.labels else ()
    task = replace(task, labels=labels)
    rows = rows_of(task, 240, num_groups=len(HOSTILE))
    rows = replace(rows, group_names=HOSTILE)
    data = report_data(
        kind,
        task=task,
        rows=rows,
        title=HOSTILE[0] + HOSTILE[1],
        mistakes=mistakes_of(HOSTILE, group=HOSTILE[0]),
        facts={text: {text: text} for text in HOSTILE},
    )
    data = replace(
        data,
        evaluation=replace(data.evaluation, group_by=HOSTILE[0], skipped=dict.fromkeys(HOSTILE, 2)),
    )
    page = checked(data)
    assert len(page.all("script")) == 1
    assert HOSTILE[0] in page.text
    assert "\x00" not in page.text and "a\ufffdb" in page.text
    # In the drawing too: what looks like a stand-in or like a mark for a colour is a text like any other.
    drawn = " ".join(drawing.text for drawing in page.all("svg"))
    assert "</script><img src=x on" in drawn


def test_a_label_that_looks_like_a_colour_or_a_stand_in():
    task = Task(kind="classification", labels=("#7e0001", "@1@", "$x$"))
    page = checked(report_data(task=task, bare=True))
    texts = [element.text for drawing in page.all("svg") for element in drawing.all("text")]
    assert {"#7e0001", "@1@", "$x$"} <= set(texts)


@pytest.mark.parametrize("kind", ["classification", "binary"])
def test_one_class_in_truth(kind):
    rows = rows_of(TASKS[kind], 150)
    page = checked(report_data(kind, rows=replace(rows, targets=np.zeros(150, dtype=np.int64))))
    assert "All rows have the same true label" in page.text


def test_no_label_anywhere():
    rows = rows_of(TASKS["multilabel"], 150)
    empty = replace(rows, targets=np.zeros_like(rows.targets), scores=np.zeros_like(rows.scores))
    assert (
        "No text has a label, and none was given one." in checked(report_data("multilabel", rows=empty)).text
    )


def test_one_label_of_its_own():
    task = Task(kind="multilabel", labels=("spam",))
    page = checked(report_data(task=task, rows=rows_of(task, 150)))
    assert "The only label" in page.text


@pytest.mark.parametrize("in_windows", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 10, 48, 100_000])
def test_limits_of_length(limit, in_windows):
    tokens = replace(rows_of(TASKS["binary"], 150).tokens, sequence_length=limit, in_windows=in_windows)
    drawing = lengths_picture(length_counts(tokens)).file()
    ElementTree.fromstring(drawing)
    assert ("read in windows of" in drawing) == (in_windows and limit is not None)
    assert ("cut after" in drawing) == (not in_windows and limit is not None)


def test_constant_numbers():
    rows = rows_of(TASKS["regression"], 150)
    constant = replace(rows, targets=np.full(150, 4.0), scores=np.full(150, 4.0))
    assert "always 4" in checked(report_data("regression", rows=constant)).text


@pytest.mark.parametrize("scale", [1e-12, 1e12, 1e300])
def test_numbers_of_any_size(scale):
    rows = rows_of(TASKS["regression"], 150)
    data = report_data("regression", rows=rows)
    checked(replace(data, rows=replace(rows, targets=rows.targets * scale, scores=rows.scores * scale)))


def test_numbers_too_far_apart_for_a_picture():
    rows = rows_of(TASKS["regression"], 4)
    data = report_data("regression", rows=rows)
    page = checked(replace(data, rows=replace(rows, targets=np.array([-1.7e308, 0, 1, 1.7e308]))))
    assert "too far apart" in page.text


def test_two_hundred_labels():
    task = Task(kind="classification", labels=tuple(f"label {number}" for number in range(200)))
    page = checked(report_data(task=task, num_rows=2_000))
    assert "confusion" not in [
        drawing.attributes["aria-labelledby"].split("-")[0] for drawing in page.all("svg")
    ]
    assert "most frequent" in page.text


@pytest.mark.parametrize("num_groups", [1, 2, 205, 2_000])
def test_groups(num_groups):
    rows = rows_of(TASKS["classification"], 2 * num_groups + 40, num_groups=num_groups)
    page = checked(report_data(rows=rows))
    tables = [table for table in page.all("table") if table.children[0].text == "The worst first"]
    assert len(tables[0].all("tbody")[0].all("tr")) == num_groups
    if num_groups == 205:
        assert "The 30 worst groups and the 10 best" in page.text


def test_baseline_of_other_rows():
    data = report_data()
    page = checked(replace(data, evaluation=replace(data.evaluation, baseline_rows="other")))
    assert "Baseline (held out in training)" in page.text and "Better by" not in page.text


def test_a_history_that_is_no_history():
    history = [
        {},
        {"event": "step"},
        {"event": "step", "step": 1, "loss": None},
        {"event": "step", "step": 2, "loss": float("nan"), "learning_rate": "x"},
        {"event": "epoch", "epoch": 1, "step": 1, "metrics": None},
        {"event": "epoch", "epoch": 1, "step": 1, "metrics": {"accuracy": "<b>"}},
        {"event": "other", "step": 3},
    ]
    assert "Training" not in [heading.text for heading in checked(report_data(history=history)).all("h3")]


def test_small_numbers_on_an_axis_are_whole():
    history = [{"event": "step", "step": step, "learning_rate": 1e-3 * step} for step in (1, 2, 3)]
    page = checked(report_data(history=history))
    (rate,) = [drawing for drawing in page.all("svg") if "Learning rate" in drawing.children[0].text]
    assert any(re.fullmatch(r"0\.\d{3,}", element.text) for element in rate.all("text"))


def test_a_long_history_is_thinned():
    steps = [{**HISTORY[0], "step": step, "loss": 1 / step} for step in range(1, 50_001)]
    page = checked(report_data(history=steps))
    assert "Each point is the mean of 167 steps." in page.text
    assert len(report_html(report_data(history=steps))) < 500_000


def test_no_training_table_at_hand():
    leakage = Leakage(num_rows=0, num_distinct=0, num_repeated=0, num_other_truth=0, compared=False)
    assert "is unknown" in checked(report_data(leakage=leakage)).text


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_give_the_same_bytes(kind):
    first, second = make_report(report_data(kind)), make_report(report_data(kind))
    assert first.html == second.html
    assert [picture.file() for picture in first.pictures] == [picture.file() for picture in second.pictures]


def test_files(tmp_path):
    folder = tmp_path / "new" / "folder"
    folder.mkdir(parents=True)
    (folder / "report-roc.svg").write_text("of an earlier report", encoding="utf-8")
    (folder / "report-mine.svg").write_text("not ours", encoding="utf-8")
    data = report_data("regression")
    path = write_report(data, folder)
    assert path == folder / "report.html"
    assert path.read_text(encoding="utf-8") == report_html(data)
    names = {file.name for file in folder.iterdir()}
    drawn = {f"report-{picture.name}.svg" for picture in make_report(data).pictures}
    assert names == {"report.html", "report-mine.svg", *drawn}


def test_nothing_is_written_that_cannot_be_drawn(tmp_path):
    data = report_data()
    with pytest.raises(Exception, match=r"unpack|dimension|axis|shape"):
        write_report(replace(data, rows=replace(data.rows, scores=np.zeros(3))), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_matplotlib_settings_of_the_user_change_nothing():
    import matplotlib

    plain = report_html(report_data())
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert report_html(report_data()) == plain
        assert matplotlib.rcParams["font.size"] == 30
