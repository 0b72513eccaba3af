from __future__ import annotations

import json
import shutil

import pytest

from bertblocks.training import TableRun, TrainingSettings, train_table
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv

FLOAT32 = ("--precision", "float32")


@pytest.fixture
def table(tmp_path):
    texts, labels = class_texts(45, tuple(CLUES), seed=3)
    groups = ["[red]", "b", ""] * 15
    return write_csv(tmp_path / "test.csv", {"text": texts, "label": labels, "origin": groups})


@pytest.fixture(scope="session")
def hasty_model(encoder, tmp_path_factory):
    """The same question as `model`, hardly trained."""
    folder = tmp_path_factory.mktemp("hasty")
    texts, labels = class_texts(300, tuple(CLUES))
    run = TableRun(
        text="text",
        target="label",
        table=str(write_csv(folder / "table.csv", {"text": texts, "label": labels})),
        output=str(folder / "hasty"),
        encoder=str(encoder),
        baseline=False,
        training=TrainingSettings(precision="float32", epochs=1, learning_rate=1e-6),
    )
    return train_table(run).folder


def test_for_people(cli, model, hasty_model, table):
    ended = cli("compare", hasty_model, model, table, "--group-by", "origin", *FLOAT32)
    assert ended.status == 0 and ended.err == ""
    assert f"hasty, model on {table}" in ended.out and "model against hasty, 45 rows" in ended.out
    assert "model against hasty by origin" in ended.out and "[red]" in ended.out and "p by Holm" in ended.out
    assert "model is right for" in ended.out and "of 100 rows more than hasty (95 % interval" in ended.out
    assert "Chance hardly does that" in ended.out and "McNemar's exact test" in ended.out
    assert "corrected by Holm for 3 tests" in ended.out


def test_for_machines_and_as_a_file(cli, model, hasty_model, table, tmp_path):
    ended = cli("compare", hasty_model, model, table, "--json", "--output", tmp_path / "a" / "b", *FLOAT32)
    path = tmp_path / "a" / "b" / "compare.json"
    assert ended.err == f"Written: {path}\n"
    found = json.loads(ended.out)
    assert json.loads(path.read_text(encoding="utf-8")) == found
    assert found["models"] == [str(hasty_model), str(model)] and found["table"] == str(table)
    assert found["rows"] == 45 and found["first"]["model"] == "hasty"
    (other,) = found["others"]
    assert other["model"] == "model" and other["differences"]["accuracy"]["value"] > 0.3
    assert other["test"]["p_value"] < 0.01 and len(found["summary"]) == 1


def test_figures_are_those_of_evaluate(cli, model, hasty_model, table, tmp_path):
    compared = json.loads(cli("compare", hasty_model, model, table, "--json", *FLOAT32).out)
    for folder, metrics in (
        (hasty_model, compared["first"]["metrics"]),
        (model, compared["others"][0]["metrics"]),
    ):
        options = ("--json", "--output", tmp_path / folder.name, *FLOAT32)
        assert json.loads(cli("evaluate", folder, table, *options).out)["metrics"] == metrics


def test_models_of_the_same_name_are_told_apart(cli, model, table, tmp_path, monkeypatch):
    for parent in ("one", "two"):
        shutil.copytree(model, tmp_path / parent / "model")
    monkeypatch.chdir(tmp_path)
    ended = cli("compare", "one/model", "two/model", table, *FLOAT32)
    assert "two/model is right for as many rows as one/model" in ended.out
    ended = cli("compare", "one/model", "one/model/", table, *FLOAT32)
    assert ended.is_refusal and "named twice" in ended.err


def test_several_labels_are_split_as_in_training(cli, label_model, tmp_path):
    other = shutil.copytree(label_model, tmp_path / "other")
    texts, lists = label_lists(40, seed=5)
    table = write_csv(tmp_path / "t.csv", {"text": texts, "label": ["|".join(row) for row in lists]})
    ended = cli("compare", label_model, other, table, *FLOAT32)
    assert ended.status == 0 and "The micro F1 of other is" in ended.out
    record = json.loads((other / "run.json").read_text(encoding="utf-8"))
    record["settings"]["label_separator"] = ";"
    (other / "run.json").write_text(json.dumps(record), encoding="utf-8")
    ended = cli("compare", label_model, other, table, *FLOAT32)
    assert ended.is_refusal and "separated by '|', those of other by ';'" in ended.err
    assert cli("compare", label_model, other, table, "--label-separator", "|", *FLOAT32).status == 0


def test_numbers_and_pairs(cli, pair_model, tmp_path):
    other = shutil.copytree(pair_model, tmp_path / "other")
    texts, values = numbers(40, seed=1)
    columns = {"text": ["the film"] * 40, "second": texts, "label": [value + 0.5 for value in values]}
    table = write_csv(tmp_path / "t.csv", columns)
    ended = cli("compare", pair_model, other, table, *FLOAT32)
    assert ended.status == 0 and "other is off by" in ended.out and "pearson" in ended.out


def test_a_zip(cli, model, hasty_model, table, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", model)
    ended = cli("compare", hasty_model, archive, table, *FLOAT32)
    assert ended.status == 0 and "packed.zip is right for" in ended.out


def test_rows_that_cannot_be_used(cli, model, hasty_model, tmp_path):
    columns = {"text": ["good film", "", "awful", "red"], "label": ["good", "good", "ugly", "colour"]}
    table = write_csv(tmp_path / "t.csv", columns)
    ended = cli("compare", model, hasty_model, table, *FLOAT32)
    assert ended.is_refusal and "'ugly' is unknown" in ended.err
    ended = cli("compare", model, hasty_model, table, "--skip-bad-rows", "--json", *FLOAT32)
    assert json.loads(ended.out)["skipped"] == {"missing value": 1, "unknown label": 1}
    assert "2 of 4 rows were left out" in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("{model}", "{table}"), "compare needs at least two models before the table"),
        (("{model}", "{model}", "{table}"), "model is named twice"),
        (("{model}", "{pair_model}", "{table}"), "The models answer different questions"),
        (("{model}", "{hasty}", "{table}", "--text-pair", "x"), "--text-pair has no effect"),
        (
            ("{model}", "{hasty}", "{table}", "--ids", "x"),
            "ids has no effect: these models take single texts",
        ),
        (("{model}", "{hasty}", "{table}", "--label-separator", "|"), "--label-separator has no effect"),
        (("{model}", "{hasty}", "{table}", "--group-by", "nothing"), "nothing"),
        (("{model}", "{hasty}", "nowhere.csv"), "nowhere.csv"),
        (("{model}", "nowhere", "{table}"), "nowhere does not exist"),
        (("{model}", "{hasty}", "{table}", "--output", "{model}"), "holds a model; choose another --output"),
        (("{model}", "{hasty}", "{table}", "--output", "{table}"), "is in its way; choose another --output"),
    ],
)
def test_mistakes(cli, model, hasty_model, pair_model, table, arguments, words):
    places = {"model": model, "hasty": hasty_model, "pair_model": pair_model, "table": table}
    ended = cli("compare", *(argument.format(**places) for argument in arguments))
    assert ended.is_refusal and words in ended.err, ended


def test_without_a_table(cli, model):
    ended = cli("compare", model)
    assert ended.status == 2 and not ended.out and "Missing argument" in ended.err
