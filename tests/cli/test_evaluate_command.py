from __future__ import annotations

import json
import shutil

import pytest

from bertblocks import load
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv

FLOAT32 = ("--precision", "float32")


@pytest.fixture
def table(tmp_path):
    texts, labels = class_texts(45, tuple(CLUES), seed=3)
    groups = ["[red]", "b", ""] * 15
    return write_csv(tmp_path / "test.csv", {"text": texts, "label": labels, "origin": groups})


def metrics_of(model, table):
    return model.with_name(f"{model.name}-evaluation") / table.stem / "metrics.json"


def test_for_people(cli, model, table):
    ended = cli("evaluate", model, table, *FLOAT32)
    path = metrics_of(model, table)
    assert ended.status == 0 and ended.err == f"Written: {path.with_name('report.html')}\n"
    assert f"{model} on {table}" in ended.out and "All 45 rows" in ended.out and "colour" in ended.out
    # The baseline was measured on other rows, in training.
    assert "baseline (held out in training)" in ended.out


def test_for_machines(cli, model, table):
    found = json.loads(cli("evaluate", model, table, "--json", *FLOAT32).out)
    assert found["rows"] == 45 and found["metrics"]["accuracy"] > 0.9
    assert found["baseline_rows"] == "other" and found["skipped"] == {}


def test_by_group(cli, model, table):
    ended = cli("evaluate", model, table, "--group-by", "origin", *FLOAT32)
    assert ended.status == 0 and "By origin" in ended.out and "[red]" in ended.out and "(none)" in ended.out
    found = json.loads(cli("evaluate", model, table, "--group-by", "origin", "--json", *FLOAT32).out)
    assert {group["group"]: group["rows"] for group in found["groups"]} == {
        "(none)": 15,
        "[red]": 15,
        "b": 15,
    }


def test_long_names_are_shortened_in_tables_alone(cli, model, tmp_path):
    texts, labels = class_texts(9, tuple(CLUES))
    long = "a very long name" + ", or longer" * 20
    table = write_csv(tmp_path / "long.csv", {"text": texts, "label": labels, long: [long] * 9})
    ended = cli("evaluate", model, table, "--group-by", long, *FLOAT32)
    tables = ended.out.split("By class")[1]
    named = [line for line in tables.splitlines() if "very long" in line]
    assert len(named) == 3 and max(map(len, named)) <= 110
    found = json.loads(cli("evaluate", model, table, "--group-by", long, "--json", *FLOAT32).out)
    assert found["groups"][0]["group"] == long


def test_too_many_groups_are_found_before_a_text_is_read(cli, model, table, monkeypatch):
    monkeypatch.setattr("bertblocks.evaluation.evaluations.MAX_GROUPS", 2)
    monkeypatch.setattr("bertblocks.inference.Predictor.predict", None)
    ended = cli("evaluate", model, table, "--group-by", "origin", *FLOAT32)
    assert ended.is_refusal and "column 'origin' has more than 2 different values" in ended.err


def test_metrics_as_a_file(cli, model, table, tmp_path):
    ended = cli("evaluate", model, table, "--output", tmp_path / "a" / "report", "--json", *FLOAT32)
    path = tmp_path / "a" / "report" / "metrics.json"
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(ended.out)
    assert f"Written: {path.with_name('report.html')}" in ended.err


def test_metrics_are_written_beside_the_model_by_default(cli, model, table, tmp_path, monkeypatch):
    folder = tmp_path / "my.model"
    shutil.copytree(model, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    path = tmp_path / "my.model-evaluation" / "test" / "metrics.json"
    ended = cli("evaluate", folder, table, "--json", *FLOAT32)
    assert ended.err == f"Written: {path.with_name('report.html')}\n"
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(ended.out)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    # Another run replaces it; "." is beside itself too.
    monkeypatch.chdir(folder)
    ended = cli("evaluate", ".", table, "--group-by", "origin", "--json", *FLOAT32)
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(ended.out)
    written = {entry.name for entry in path.parent.iterdir()}
    assert {"metrics.json", "predictions.parquet", "report.html"} < written


def test_tables_do_not_replace_each_others_metrics(cli, model, table, tmp_path):
    other = shutil.copy(table, tmp_path / "other.csv")
    for path in (table, other):
        assert cli("evaluate", model, path, *FLOAT32).status == 0
        found = json.loads(metrics_of(model, path).read_text(encoding="utf-8"))
        assert (found["model"], found["table"]) == (str(model), str(path))
    assert metrics_of(model, table).parent.parent == metrics_of(model, other).parent.parent


def test_a_place_that_cannot_take_metrics_is_found_before_the_work(cli, model, table, tmp_path, monkeypatch):
    monkeypatch.setattr("bertblocks.inference.Predictor.load", None)
    before = (model / "metrics.json").read_bytes()
    unfinished = tmp_path / "run.unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_text("{}", encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "taken" / "metrics.json").mkdir(parents=True)
    for output, words in (
        (model, "holds a model or a run, whose own metrics.json would be replaced; choose another --output"),
        (unfinished, "holds a model or a run"),
        (tmp_path / "file", f"since {tmp_path / 'file'} is in its way; choose another --output"),
        (tmp_path / "file" / "report", f"since {tmp_path / 'file'} is in its way"),
        (tmp_path / "taken", "metrics.json is in its way"),
    ):
        ended = cli("evaluate", model, table, "--output", output)
        assert ended.is_refusal and words in ended.err, ended
    assert (model / "metrics.json").read_bytes() == before


def test_a_model_as_a_zip(cli, model, table, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", model)
    ended = cli("evaluate", archive, table, "--json", *FLOAT32)
    assert ended.err == f"Written: {tmp_path / 'model-evaluation' / 'test' / 'report.html'}\n"
    of_folder = json.loads(cli("evaluate", model, table, "--json", *FLOAT32).out)
    assert json.loads(ended.out) == {**of_folder, "model": archive}
    text = ("--text", "good", *FLOAT32)
    assert cli("predict", archive, *text).out == cli("predict", model, *text).out
    assert load(archive).classes_.tolist() == ["bad", "colour", "good"]


def test_columns_of_other_names(cli, model, tmp_path):
    texts, labels = class_texts(9, tuple(CLUES))
    table = write_csv(tmp_path / "other.csv", {"review": texts, "topic": labels})
    ended = cli("evaluate", model, table)
    assert ended.is_refusal and "no column 'text'" in ended.err
    ended = cli("evaluate", model, table, "--text", "review", "--target", "topic", *FLOAT32)
    assert ended.status == 0, ended.err


def test_pairs_and_numbers(cli, pair_model, tmp_path):
    texts, values = numbers(20, seed=4)
    columns = {"text": ["the film"] * 20, "second": texts, "label": [value + 0.5 for value in values]}
    found = json.loads(
        cli("evaluate", pair_model, write_csv(tmp_path / "p.csv", columns), "--json", *FLOAT32).out
    )
    assert found["task"] == "regression" and found["metrics"]["mae"] < 10


def test_several_labels_are_separated_as_in_training(cli, label_model, tmp_path):
    texts, labels = label_lists(20, seed=4)
    columns = {"text": texts, "label": ["|".join(row) for row in labels]}
    ended = cli("evaluate", label_model, write_csv(tmp_path / "m.csv", columns), "--json", *FLOAT32)
    found = json.loads(ended.out)
    assert found["metrics"]["micro_f1"] > 0.8
    # Thresholds were chosen on the rows held out in training, as both files say.
    stored = json.loads((label_model / "metrics.json").read_text(encoding="utf-8"))["thresholds"]
    assert (stored["rows"], stored["num_rows"], list(stored["by_label"])) == ("same", 30, ["CAT", "DOG"])
    assert stored["metrics_at_half"]["micro_f1"] > 0.5
    assert found["thresholds"]["by_label"] == stored["by_label"]
    assert (found["thresholds"]["rows"], found["thresholds"]["num_rows"]) == ("other", None)
    # A blank cell is a row that lacks every label, as in training, and is told as there.
    assert (found["rows"], found["skipped"]) == (20, {})
    assert "m.csv: 5 rows have no label; they count as rows that lack all of them." in ended.err
    lists = tmp_path / "m.jsonl"
    lines = [json.dumps({"text": text, "label": row}) for text, row in zip(texts, labels, strict=True)]
    lists.write_text("\n".join(lines), encoding="utf-8")
    as_lists = cli("evaluate", label_model, lists, "--json", *FLOAT32)
    assert json.loads(as_lists.out)["metrics"] == found["metrics"] and "5 rows have no label" in as_lists.err
    columns["label"] = [label.replace("|", ";") for label in columns["label"]]
    table = write_csv(tmp_path / "semicolons.csv", columns)
    again = cli("evaluate", label_model, table, "--label-separator", ";", "--json", *FLOAT32)
    assert json.loads(again.out)["metrics"] == found["metrics"]
    ended = cli("evaluate", label_model, table)
    assert ended.is_refusal and "labels are separated by '|' here; --label-separator" in ended.err
    ended = cli("evaluate", label_model, table, "--label-separator", "")
    assert ended.is_refusal and "--label-separator is empty" in ended.err


def test_bad_rows(cli, model, tmp_path):
    table = write_csv(
        tmp_path / "holes.csv", {"text": ["good", "", "awful"], "label": ["good", "good", "bad"]}
    )
    assert cli("evaluate", model, table).is_refusal
    ended = cli("evaluate", model, table, "--skip-bad-rows", "--json", *FLOAT32)
    assert json.loads(ended.out)["rows"] == 2 and "1 of 3 rows was left out" in ended.err


def test_a_label_that_the_model_does_not_know_is_a_bad_row(cli, model, tmp_path):
    table = write_csv(
        tmp_path / "unknown.csv",
        {"text": ["good", "awful", "great", "red"], "label": ["good", "ugly", "ugly", "colour"]},
    )
    ended = cli("evaluate", model, table)
    assert ended.is_refusal
    assert "row 2 (line 3), column 'label': the label 'ugly' is unknown" in ended.err
    assert ended.err.count("Known labels: 'bad', 'colour', 'good'.") == 1
    assert "train with rows of these labels too, or leave bad rows out with --skip-bad-rows" in ended.err
    ended = cli("evaluate", model, table, "--skip-bad-rows", "--json", *FLOAT32)
    found = json.loads(ended.out)
    assert (found["rows"], found["skipped"]) == (2, {"unknown label": 2})
    assert "2 of 4 rows were left out" in ended.err
    unknown = write_csv(tmp_path / "all.csv", {"text": ["good"], "label": ["ugly"]})
    ended = cli("evaluate", model, unknown, "--skip-bad-rows")
    assert ended.is_refusal and "no row can be used" in ended.err


def test_refusals(cli, model, table, tmp_path):
    (tmp_path / "empty.csv").write_bytes(b"text,label\n")
    for arguments, words in (
        ([tmp_path / "none.csv"], ("none.csv does not exist",)),
        ([tmp_path / "empty.csv"], ("empty.csv",)),
        ([table, "--group-by", "orign"], ("no column 'orign' (did you mean 'origin'?)",)),
        ([table, "--text-pair", "origin"], ("--text-pair has no effect",)),
        ([table, "--label-separator", "|"], ("--label-separator has no effect",)),
        ([table, "--device", "tpu"], ("device is 'tpu'",)),
    ):
        ended = cli("evaluate", model, *arguments)
        assert ended.is_refusal, ended
        assert all(word in ended.err for word in words), ended.err


def test_a_model_that_was_changed_is_refused(cli, model, table, tmp_path):
    copy = shutil.copytree(model, tmp_path / "copy")
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ended = cli("evaluate", copy, table)
    assert ended.is_refusal and "has been changed" in ended.err and "model.safetensors" in ended.err
