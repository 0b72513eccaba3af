from __future__ import annotations

import json

import pytest

from bertblocks.assembly import load_model
from bertblocks.inference import Predictor
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv

QUICK = ("--epochs", 2, "--batch-tokens", 256, "--precision", "float32", "--no-baseline")
SETTINGS = {"table": "a.csv", "text": "text", "target": "label", "output": "model"}


@pytest.fixture
def table(tmp_path):
    texts, labels = class_texts(90, tuple(CLUES))
    return write_csv(tmp_path / "table.csv", {"text": texts, "label": labels})


@pytest.fixture
def train(cli, encoder, tmp_path, table):
    """Calls `bertblocks train` with what it needs; further arguments follow."""

    def call(*arguments, table=table, output="model", text="text", target="label"):
        places = ("--text", text, "--target", target, "--output", tmp_path / output)
        return cli("train", table, *places, "--encoder", encoder, *QUICK, *arguments)

    return call


def test_results_go_to_stdout_and_the_rest_to_stderr(train, tmp_path):
    ended = train("--no-baseline")
    assert ended.status == 0
    assert "All 9 rows" in ended.out and f"The model is in {tmp_path / 'model'}" in ended.out
    assert "accuracy" in ended.out and "colour" in ended.out
    assert "90 rows" in ended.err and "Epoch 1: loss" in ended.err
    assert "2 epochs; the best was" in ended.err
    # No bar, no color and no cursor movements in a pipe.
    assert "\x1b" not in ended.out + ended.err and "━" not in ended.out + ended.err
    assert load_model(tmp_path / "model").task.labels == ("bad", "colour", "good")


def test_json_is_all_of_stdout(train, tmp_path):
    ended = train("--json", "--group-by", "label")
    found = json.loads(ended.out)
    assert found["model"] == str(tmp_path / "model")
    assert found["rows"] == 9 and 0 <= found["metrics"]["accuracy"] <= 1
    assert {group["group"] for group in found["groups"]} == {"bad", "colour", "good"}
    assert "Epoch 1" in ended.err


def test_the_baseline_is_shown_unless_it_is_not_wanted(cli, encoder, table, tmp_path):
    places = (
        "--text",
        "text",
        "--target",
        "label",
        "--encoder",
        encoder,
        "--epochs",
        1,
        "--precision",
        "float32",
    )
    ended = cli("train", table, *places, "--output", tmp_path / "model")
    assert ended.status == 0, ended.err
    assert "cheap baseline" in ended.out and "better by" in ended.out
    assert "A baseline without BERT took" in ended.err


class TestRefusals:
    """Exit status 2, one clear message, no traceback, nothing left behind."""

    def refused(self, ended, tmp_path, *words):
        assert ended.is_refusal, ended
        for word in words:
            assert word in ended.err, ended.err
        assert not (tmp_path / "model").exists() and not (tmp_path / "model.unfinished").exists()

    def test_a_column_that_is_not_there(self, train, tmp_path):
        ended = train(text="txt", target="lable")
        words = ("no column 'txt' (did you mean 'text'?)", "no column 'lable' (did you mean 'label'?)")
        self.refused(ended, tmp_path, *words, "Its columns are: 'text', 'label'")

    def test_tables_that_cannot_be_read(self, train, tmp_path):
        self.refused(train(table=tmp_path / "nothing.csv"), tmp_path, "nothing.csv does not exist")
        (tmp_path / "empty.csv").write_bytes(b"")
        self.refused(train(table=tmp_path / "empty.csv"), tmp_path, "empty.csv is empty")
        (tmp_path / "head.csv").write_bytes(b"text,label\n")
        self.refused(train(table=tmp_path / "head.csv"), tmp_path, "head.csv")
        self.refused(train(table=tmp_path), tmp_path, "is a folder")

    def test_one_class_only(self, train, tmp_path):
        table = write_csv(tmp_path / "one.csv", {"text": ["a", "b", "c"], "label": ["same"] * 3})
        self.refused(train(table=table), tmp_path, "one class only, 'same'")

    def test_characters_of_another_encoding(self, train, tmp_path):
        texts, labels = class_texts(30)
        texts[3] = "café"
        table = write_csv(tmp_path / "western.csv", {"text": texts, "label": labels}, encoding="cp1252")
        self.refused(train(table=table), tmp_path, "row 4", "byte 0xe9", "--encoding cp1252")
        assert train("--encoding", "cp1252", table=table).status == 0

    def test_an_unknown_encoding(self, train, tmp_path):
        self.refused(train("--encoding", "utf-9"), tmp_path, "no text encoding 'utf-9'")

    def test_an_unknown_encoder(self, train, tmp_path):
        ended = train("--encoder", "multilingual-case")
        self.refused(ended, tmp_path, "multilingual-case", "Known names: multilingual-cased")
        self.refused(train("--encoder", tmp_path), tmp_path, "config.json")

    @pytest.mark.parametrize("length", [0, 1, 129, 4096, -5])
    def test_sequence_lengths(self, train, tmp_path, length):
        ended = train("--sequence-length", length)
        self.refused(ended, tmp_path, "--sequence-length ", f" {length}, but", "set --sequence-length ")

    @pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.1"])
    def test_shares(self, train, tmp_path, share):
        self.refused(train("--validation", share), tmp_path, "a table or a share between 0 and 1")

    def test_settings(self, train, tmp_path):
        self.refused(train("--epochs", 0), tmp_path, "epochs is 0")
        self.refused(train("--learning-rate", "nan"), tmp_path, "--learning-rate is nan")
        self.refused(train("--seed", -1), tmp_path, "seed is -1")
        self.refused(train("--metric", "acuracy"), tmp_path, "metric is 'acuracy'", "macro_f1")
        self.refused(
            train("--label-separator", "|", "--task", "classification"), tmp_path, "--label-separator has"
        )

    def test_class_weights_of_a_regression(self, train, tmp_path):
        texts, values = numbers(30)
        table = write_csv(tmp_path / "n.csv", {"text": texts, "label": [value + 0.5 for value in values]})
        self.refused(train("--class-weight", "auto", table=table), tmp_path, "no effect on a regression")

    def test_missing_options_are_all_named(self, cli, tmp_path):
        ended = cli("train", tmp_path / "table.csv")
        self.refused(ended, tmp_path, "Missing --text, --target, --output", "bertblocks train reviews.csv")
        self.refused(cli("train"), tmp_path, "Missing TABLE, --text, --target, --output")

    def test_a_sheet_of_a_file_without_sheets(self, train, tmp_path):
        self.refused(train("--sheet", "one"), tmp_path, "--sheet one has no effect")

    def test_divergence(self, train, tmp_path):
        ended = train("--learning-rate", "1e30", "--epochs", 20)
        self.refused(
            ended, tmp_path, "Training diverged: after step", "Lower the learning rate (--learning-rate)"
        )

    def test_one_column_as_text_and_target(self, train, tmp_path):
        self.refused(train(target="text"), tmp_path, "'text'")


def test_an_output_that_is_there_is_left_alone(train, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "novel.txt").write_text("mine", encoding="utf-8")
    ended = train()
    assert ended.is_refusal and "is there already; choose another --output, or remove it first" in ended.err
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["novel.txt"]


class TestReplay:
    def weights(self, tmp_path, name):
        return (tmp_path / name / "model.safetensors").read_bytes()

    def test_a_run_to_the_bit(self, train, cli, tmp_path):
        train(
            "--seed",
            5,
            "--pooling",
            "max",
            "--class-weight",
            "auto",
            "--optimizer",
            "google-adamw",
            output="first",
        )
        ended = cli("train", "--config", tmp_path / "first" / "run.json", "--output", tmp_path / "second")
        assert ended.status == 0, ended.err
        assert self.weights(tmp_path, "first") == self.weights(tmp_path, "second")
        assert load_model(tmp_path / "second").module.pooling == "max"

    def test_the_precision_that_was_chosen_then_is_taken_again(self, train, cli, tmp_path):
        train("--precision", "auto", output="first")
        path = tmp_path / "first" / "run.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["settings"]["training"]["precision"] == "auto"
        for precision in ("float32", "bfloat16"):
            path.write_text(json.dumps({**record, "precision": precision}), encoding="utf-8")
            output = tmp_path / precision
            assert cli("train", "--config", path, "--output", output).status == 0
            assert json.loads((output / "run.json").read_text(encoding="utf-8"))["precision"] == precision

    def test_options_override_the_file(self, train, cli, tmp_path, table):
        train(output="first")
        config = tmp_path / "first" / "run.json"
        changed = ("--seed", 9, "--epochs", 1, "--freeze-encoder", "--validation", "0.5")
        ended = cli("train", "--config", config, "--output", tmp_path / "second", *changed)
        assert ended.status == 0, ended.err
        settings = json.loads((tmp_path / "second" / "run.json").read_text(encoding="utf-8"))["settings"]
        assert settings["freeze_encoder"] is True and settings["validation"] == 0.5
        assert (settings["training"]["seed"], settings["training"]["epochs"]) == (9, 1)
        assert (settings["training"]["batch_tokens"], settings["table"]) == (256, str(table))
        # A TABLE that is typed overrides too.
        other = write_csv(tmp_path / "other.csv", dict(zip(("text", "label"), class_texts(40), strict=True)))
        ended = cli("train", other, "--config", config, "--output", tmp_path / "third")
        assert ended.status == 0 and load_model(tmp_path / "third").task.labels == ("bad", "good")

    def test_the_output_of_the_file_is_not_overwritten(self, train, cli, tmp_path):
        train(output="first")
        ended = cli("train", "--config", tmp_path / "first" / "run.json")
        assert ended.is_refusal and "is there already" in ended.err

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "run.json cannot be read (No such file or directory); expected a run.json, as"),
            ("text,label\na,b", "expected a run.json, as a run leaves it in its model's folder"),
            ("[]", "not the record of a run"),
            ({"table": "a.csv"}, "missing ['output', 'target', 'text']"),
            ({**SETTINGS, "lr": 1}, "unknown ['lr']"),
            ({**SETTINGS, "training": {"epochs": "2"}}, "epochs is '2'"),
            ({**SETTINGS, "table": 1}, "table is 1"),
        ],
    )
    def test_a_file_that_is_none(self, cli, tmp_path, content, message):
        path = tmp_path / "run.json"
        if content is not None:
            text = content if isinstance(content, str) else json.dumps({"settings": content})
            path.write_text(text, encoding="utf-8")
        ended = cli("train", "--config", path)
        assert ended.is_refusal and message in ended.err


class TestTables:
    def test_several_labels_by_a_separator(self, train, tmp_path):
        texts, labels = label_lists(60)
        table = write_csv(tmp_path / "many.csv", {"text": texts, "label": ["|".join(row) for row in labels]})
        ended = train("--label-separator", "|", table=table)
        assert ended.status == 0 and "any of 2 labels: 'CAT', 'DOG'" in ended.err
        assert "15 rows have no label; they count as rows that lack all of them." in ended.err
        assert "micro_f1" in ended.out

    def test_a_validation_table(self, train, tmp_path):
        dev = write_csv(tmp_path / "dev.csv", dict(zip(("text", "label"), class_texts(12), strict=True)))
        ended = train("--validation", dev)
        assert ended.status == 0 and f"Validation rows, {dev}" in ended.out and "All 12 rows" in ended.out

    def test_semicolons_and_umlauts(self, train, tmp_path):
        texts, labels = class_texts(60)
        columns = {"Beurteilung, frei": [f"{text}; schön" for text in texts], "Güte": labels}
        table = write_csv(tmp_path / "Bögen.csv", columns, separator=";")
        ended = train(table=table, text="Beurteilung, frei", target="Güte")
        assert ended.status == 0 and "Bögen.csv" in ended.out

    def test_excel(self, train, tmp_path):
        import openpyxl

        book = openpyxl.Workbook()
        book.active.title = "notes"
        sheet = book.create_sheet("data")
        sheet.append(["text", "label"])
        for row in zip(*class_texts(60), strict=True):
            sheet.append(row)
        book.save(tmp_path / "book.xlsx")
        ended = train("--sheet", "data", table=tmp_path / "book.xlsx")
        assert ended.status == 0, ended.err
        assert train(table=tmp_path / "book.xlsx", output="other").is_refusal

    def test_bad_rows_are_counted(self, train, tmp_path):
        texts, labels = class_texts(60)
        texts[4] = " "
        table = write_csv(tmp_path / "holes.csv", {"text": texts, "label": labels})
        ended = train(table=table)
        assert ended.is_refusal and "row 5" in ended.err and "--skip-bad-rows" in ended.err
        ended = train("--skip-bad-rows", "--json", table=table)
        assert ended.status == 0 and "1 of 60 rows was left out" in ended.err
        assert json.loads(ended.out)["skipped_in_training"] == {"missing value": 1}

    def test_integers_are_classes(self, train, tmp_path):
        texts, labels = class_texts(60)
        table = write_csv(
            tmp_path / "int.csv", {"text": texts, "label": [int(label == "good") for label in labels]}
        )
        ended = train(table=table)
        assert ended.status == 0 and "'0', '1'" in ended.err
        predictor = Predictor.load(tmp_path / "model", precision="float32")
        assert predictor.model.task.kind == "binary" and predictor.model.task.labels == ("0", "1")
        assert set(predictor.predict(texts).answers) <= {"0", "1"}

    def test_labels_that_look_like_markup_are_printed_as_they_are(self, train, tmp_path):
        texts, labels = class_texts(60, tuple(CLUES))
        odd = {"bad": "[red]bad[/red]", "good": ":smile: [link=x]", "colour": "two\nlines \x1b[31m"}
        table = write_csv(tmp_path / "odd.csv", {"text": texts, "label": [odd[label] for label in labels]})
        ended = train("--group-by", "label", table=table)
        assert ended.status == 0, ended.err
        assert "[red]bad[/red]" in ended.out and ":smile: [link=x]" in ended.out
        assert "two\\nlines \\x1b[31m" in ended.out and "\x1b" not in ended.out + ended.err
        assert "[red]bad[/red]" in ended.err

    def test_tensorboard(self, train, tmp_path):
        pytest.importorskip("tensorboard")
        assert train("--tensorboard").status == 0
        assert len(list((tmp_path / "model" / "tensorboard").iterdir())) == 1


def test_warnings_are_lines_on_stderr(train, tmp_path):
    texts, labels = class_texts(60)
    labels[0] = "lonely"
    table = write_csv(tmp_path / "lonely.csv", {"text": texts, "label": labels})
    ended = train("--json", table=table)
    assert ended.status == 0 and json.loads(ended.out)
    assert "warning: Column 'label': 1 class has a single row: 'lonely'." in ended.err


def test_ctrl_c_says_how_to_go_on(cli, train, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        (tmp_path / "model.unfinished").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("bertblocks.training.train_table", interrupt)
    ended = train()
    assert ended.status == 130 and not ended.out and "Traceback" not in ended.err
    assert "The same command with --resume goes on from the last checkpoint" in ended.err


def test_an_output_that_cannot_be_made_is_refused(train, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    ended = train(output="file/model")
    assert ended.is_refusal and "Choose another --output" in ended.err
