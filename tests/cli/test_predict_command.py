from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bertblocks.blocks import Task
from bertblocks.cli.predict import _number
from bertblocks.cli.standard_input import stdin_lines
from tiny_tables import CLUES, class_texts, write_csv

FLOAT32 = ("--precision", "float32")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestOneText:
    def test_for_people(self, cli, model):
        ended = cli("predict", model, "--text", "the food was awful", *FLOAT32)
        assert ended.status == 0 and ended.err == ""
        lines = ended.out.splitlines()
        assert len(lines) == 3 and lines[0].split()[1] == "bad"
        shares = [float(line.split("%")[0]) for line in lines]
        assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=0.3)

    def test_for_machines(self, cli, model):
        found = json.loads(cli("predict", model, "--text", "the food was great", "--json", *FLOAT32).out)
        assert found["prediction"] == "good"
        assert sum(found["probabilities"].values()) == pytest.approx(1)
        assert list(found["probabilities"]) == ["bad", "colour", "good"]
        assert found["num_tokens"] == 6 and found["truncated"] is False and found["num_unknown"] == 0

    def test_a_pair_gives_a_number(self, cli, pair_model):
        found = []
        for second in ("the food", "good the good good"):
            ended = cli("predict", pair_model, "--text", "the film", "--text-pair", second, *FLOAT32)
            assert ended.status == 0
            found.append(float(ended.out))
        assert 90 < found[0] < found[1] - 3 < 130

    def test_numbers_beside_a_large_mean_are_shown_apart(self):
        task = Task(kind="regression", target_mean=1.7e9, target_scale=11.0)
        assert [_number(1.7e9 + x, task) for x in (0.123456, 12.3456789)] == [
            "1700000000.123",
            "1700000012.346",
        ]
        assert _number(3.4500000476837, Task(kind="regression")) == "3.45"

    def test_several_labels(self, cli, label_model):
        found = json.loads(cli("predict", label_model, "--text", "the dog was cat", "--json", *FLOAT32).out)
        task = json.loads((label_model / "bertblocks.json").read_text(encoding="utf-8"))["task"]
        given = zip(task["labels"], task["thresholds"] or [0.5] * len(task["labels"]), strict=True)
        expected = {label for label, threshold in given if found["probabilities"][label] >= threshold}
        assert set(found["prediction"]) == expected and "DOG" in expected

    def test_a_text_that_is_cut_is_told_of(self, cli, model):
        ended = cli("predict", model, "--text", "good " * 500, *FLOAT32)
        assert ended.status == 0 and "502 tokens and was cut" in ended.err

    def test_unknown_tokens_are_told_of(self, cli, model):
        ended = cli("predict", model, "--text", "good 好", *FLOAT32)
        assert ended.status == 0 and ended.err == "1 of its tokens is unknown to the vocabulary.\n"


class TestLines:
    TEXTS = ("the food was awful", "red and blue", "very good music")

    def test_an_answer_a_line(self, cli, model):
        ended = cli("predict", model, *FLOAT32, stdin="\n".join(self.TEXTS).encode())
        assert ended.status == 0 and ended.err == ""
        answers, shares = zip(*(line.split("\t") for line in ended.out.splitlines()), strict=True)
        assert answers == ("bad", "colour", "good") and all(0.3 < float(share) <= 1 for share in shares)

    def test_ends_of_lines_marks_and_other_characters(self, cli, model):
        # From Windows: a byte order mark, CRLF, and letters of a terminal whose encoding is not UTF-8.
        stdin = "\ufeffthe food was awful\r\nschön 好\r\nvery good music\r\n".encode()
        ended = cli("predict", model, "--json", *FLOAT32, stdin=stdin)
        found = [json.loads(line) for line in ended.out.splitlines()]
        alone = [
            json.loads(cli("predict", model, "--json", *FLOAT32, "--text", text).out)
            for text in ("the food was awful", "schön 好", "very good music")
        ]
        assert [line["num_tokens"] for line in found] == [line["num_tokens"] for line in alone]
        for one, other in zip(found, alone, strict=True):
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)

    @pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig"])
    def test_a_byte_order_mark_is_no_text(self, monkeypatch, encoding):
        stdin = io.TextIOWrapper(io.BytesIO("\ufeffone\r\n two \n".encode()), encoding="cp1252")
        monkeypatch.setattr(sys, "stdin", stdin)
        assert list(stdin_lines(encoding)) == ["one", " two "]

    def test_blank_lines_keep_their_place(self, cli, model):
        stdin = b"the food was awful\n\n  \nvery good music\n"
        lines = cli("predict", model, *FLOAT32, stdin=stdin).out.splitlines()
        assert [line.split("\t")[0] for line in lines] == ["bad", "", "", "good"]
        found = cli("predict", model, "--json", *FLOAT32, stdin=stdin).out.splitlines()
        assert [json.loads(line)["prediction"] for line in found] == ["bad", None, None, "good"]

    @pytest.mark.parametrize("stdin", [b"", b"\n\n"])
    def test_nothing_to_predict(self, cli, model, stdin):
        ended = cli("predict", model, stdin=stdin)
        assert ended.status == 0 and not ended.out.strip() and ended.err == ""

    def test_another_encoding(self, cli, model):
        stdin = "schön und good\n".encode("utf-16")
        ended = cli("predict", model, "--encoding", "utf-16", "--json", *FLOAT32, stdin=stdin)
        expected = cli("predict", model, "--json", *FLOAT32, stdin="schön und good\n".encode())
        assert ended.status == 0 and ended.out == expected.out

    def test_bytes_that_are_not_utf8(self, cli, model):
        ended = cli("predict", model, stdin=b"good\ncaf\xe9\n")
        assert ended.is_refusal and "line 2: byte 0xe9" in ended.err and "--encoding cp1252" in ended.err

    def test_more_lines_than_a_window(self, cli, model):
        ended = cli("predict", model, *FLOAT32, stdin=b"the music was very good\nthe food was awful\n" * 1100)
        assert [line.split("\t")[0] for line in ended.out.splitlines()] == ["good", "bad"] * 1100

    def test_long_lines_are_fewer_in_a_window(self, cli, model, monkeypatch):
        monkeypatch.setattr("bertblocks.cli.standard_input._CHUNK_CHARACTERS", 40)
        ended = cli("predict", model, *FLOAT32, stdin=b"the music was very good\n\nthe food was awful\n" * 20)
        assert [line.split("\t")[0] for line in ended.out.splitlines()] == ["good", "", "bad"] * 20

    def test_labels_stay_on_their_line(self, cli, _train):
        texts, labels = class_texts(200)
        odd = {"good": "[red]\tgood\nor so", "bad": "bad"}
        model = _train({"text": texts, "label": [odd[label] for label in labels]})
        ended = cli("predict", model, *FLOAT32, stdin=b"the music was very good\nthe food was awful\n")
        assert [line.split("\t")[0] for line in ended.out.splitlines()] == ["[red]\\tgood\\nor so", "bad"]
        found = json.loads(cli("predict", model, "--text", "the music was very good", "--json", *FLOAT32).out)
        assert found["prediction"] == "[red]\tgood\nor so"

    def test_a_reader_that_leaves_early_is_no_failure_to_speak_of(self, model):
        command = [sys.executable, "-m", "bertblocks", "predict", str(model), *FLOAT32]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as process:
            process.stdout.close()
            _, err = process.communicate(b"very good\n" * 20_000)
        assert err == b"", err.decode()


class TestATable:
    @pytest.fixture
    def table(self, tmp_path):
        texts, labels = class_texts(30, tuple(CLUES), seed=7)
        return write_csv(tmp_path / "new.csv", {"id": range(30), "text": texts, "truth": labels})

    def test_gives_a_table_with_predictions_beside(self, cli, model, table, tmp_path):
        ended = cli("predict", model, table, "--output", tmp_path / "out.csv", *FLOAT32)
        assert (
            ended.status == 0 and ended.out == f"30 rows are in {tmp_path / 'out.csv'}\n" and ended.err == ""
        )
        rows = rows_of(tmp_path / "out.csv")
        assert [row["id"] for row in rows] == [str(index) for index in range(30)]
        assert sum(row["prediction"] == row["truth"] for row in rows) >= 28
        assert {"probability:bad", "num_tokens", "truncated", "num_unknown"} <= set(rows[0])

    def test_json_says_what_happened(self, cli, model, table, tmp_path):
        found = json.loads(
            cli("predict", model, table, "--output", tmp_path / "out.jsonl", "--json", *FLOAT32).out
        )
        assert found["num_rows"] == 30 and found["num_empty"] == 0
        assert set(found) == {
            "output",
            "num_rows",
            "num_truncated",
            "num_in_windows",
            "sequence_length",
            "num_unknown",
            "num_tokens_read",
            "num_empty",
            "num_dropped",
            "skipped",
        }
        assert found["output"] == str(tmp_path / "out.jsonl")

    def test_unknown_tokens_are_told_of(self, cli, model, tmp_path):
        table = write_csv(tmp_path / "odd.csv", {"text": ["very good", "好 好 good", "the 好"]})
        ended = cli("predict", model, table, "--output", tmp_path / "out.csv", *FLOAT32)
        assert ended.status == 0
        # Three of 4 + 5 + 4 tokens, special ones included.
        assert ended.err == "3 tokens (23.1%) are unknown to the vocabulary.\n"
        assert [row["num_unknown"] for row in rows_of(tmp_path / "out.csv")] == ["0", "2", "1"]

    def test_rows_without_a_text(self, cli, model, tmp_path):
        table = write_csv(
            tmp_path / "holes.csv",
            {"text": ["the music was very good", " ", "the food was awful"], "n": [1, 2, 3]},
        )
        ended = cli("predict", model, table, "--output", tmp_path / "out.csv", *FLOAT32)
        assert ended.is_refusal and "row 2" in ended.err and not (tmp_path / "out.csv").exists()
        ended = cli("predict", model, table, "--output", tmp_path / "out.csv", "--skip-bad-rows", *FLOAT32)
        assert ended.status == 0 and "1 of 3 rows has no prediction" in ended.err
        assert [row["prediction"] for row in rows_of(tmp_path / "out.csv")] == ["good", "", "bad"]

    def test_refusals(self, cli, model, table, tmp_path):
        out = tmp_path / "out.csv"
        other = write_csv(tmp_path / "other.csv", {"review": ["good"]})
        for arguments, word in (
            ([other, "--output", out], "no column 'text'"),
            ([tmp_path / "none.csv", "--output", out], "none.csv does not exist"),
            ([table, "--output", tmp_path / "out.doc"], "out.doc"),
            ([table, "--output", out, "--sheet", "a"], "--sheet a has no effect"),
        ):
            ended = cli("predict", model, *arguments)
            assert ended.is_refusal and word in ended.err, ended
        assert not out.exists()


class TestOptionsThatCannotGoTogether:
    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["t.csv", "--output", "o.csv", "--text", "x"], "--text cannot"),
            (["--text-pair", "x"], "--text-pair cannot"),
            (["t.csv", "--output", "o.csv", "--text-pair", "x"], "--text-pair cannot"),
            (["--output", "o.csv"], "--output cannot"),
            (["--output", "o.csv", "--text", "x"], "--output cannot"),
            (["--text", "x", "--sheet", "s", "--skip-bad-rows"], "--sheet, --skip-bad-rows cannot"),
            (["--text", "x", "--encoding", "cp1252"], "--encoding cannot"),
            (["t.csv"], "A TABLE needs --output"),
            (["--text", "  "], "--text is blank"),
            (["--text", "x", "--text-pair", "y"], "Found pairs, but this model takes single texts"),
        ],
    )
    def test_are_refused(self, cli, model, arguments, named):
        ended = cli("predict", model, *arguments, stdin=b"")
        assert ended.is_refusal and named in ended.err

    def test_lines_for_a_model_of_pairs(self, cli, pair_model):
        ended = cli("predict", pair_model, stdin=b"one\n")
        assert ended.is_refusal and "takes pairs of texts, which a line cannot hold" in ended.err

    def test_one_text_for_a_model_of_pairs(self, cli, pair_model):
        ended = cli("predict", pair_model, "--text", "one")
        assert ended.is_refusal and "'text' and 'second'" in ended.err

    def test_a_terminal_without_texts(self, cli, model, monkeypatch):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
        ended = cli("predict", model)
        assert ended.is_refusal and "texts on standard input, one a line" in ended.err


def test_a_folder_that_is_no_model(cli, tmp_path, encoder):
    for folder, word in (
        (tmp_path, "bertblocks.json"),
        (tmp_path / "none", "does not exist"),
        (encoder, "not"),
    ):
        ended = cli("predict", folder, "--text", "x")
        assert ended.is_refusal and word in ended.err


class TestRows:
    @pytest.fixture
    def table(self, tmp_path):
        texts, labels = class_texts(30, tuple(CLUES), seed=7)
        texts[4] = ""
        return write_csv(tmp_path / "new.csv", {"id": range(30), "text": texts, "truth": labels})

    def test_a_folder_has_a_column_for_errors_and_a_file_stops(self, cli, model, table, tmp_path):
        ended = cli("predict", model, table, "--output", f"{tmp_path}/out/", "--format", "csv", *FLOAT32)
        assert ended.status == 0 and f"30 rows are in {tmp_path}/out/\n" == ended.out
        rows = rows_of(tmp_path / "out" / "part-000000-000000.csv")
        assert [row["id"] for row in rows if row["error"]] == ["4"]
        ended = cli("predict", model, table, "--output", tmp_path / "out.csv", *FLOAT32)
        assert ended.is_refusal and "--on-error column" in ended.err
        ended = cli(
            *("predict", model, table, "--output", tmp_path / "out.csv", "--on-error", "column", *FLOAT32)
        )
        assert ended.status == 0 and rows_of(tmp_path / "out.csv") == rows
        skipped = [
            cli("predict", model, table, "--output", tmp_path / "out.csv", *option, *FLOAT32)
            for option in (("--skip-bad-rows",), ("--on-error", "skip"))
        ]
        assert skipped[0] == skipped[1] and "error" not in rows_of(tmp_path / "out.csv")[0]

    def test_columns_and_limit(self, cli, model, table, tmp_path):
        out = tmp_path / "out.csv"
        ended = cli(
            "predict", model, table, "--output", out, "--columns", "truth, id", "--limit", 4, *FLOAT32
        )
        assert ended.status == 0, ended.err
        rows = rows_of(out)
        assert list(rows[0])[:3] == ["truth", "id", "prediction"] and len(rows) == 4

    def test_a_folder_of_tables(self, cli, model, table, tmp_path):
        (tmp_path / "in").mkdir()
        for name in ("b.csv", "a.csv"):
            write_csv(tmp_path / "in" / name, {"text": ["very good"], "name": [name]})
        (tmp_path / "in" / "readme.md").write_text("x", encoding="utf-8")
        for source in (tmp_path / "in", f"{tmp_path}/in/*.csv", (tmp_path / "in").as_uri()):
            ended = cli("predict", model, source, "--output", tmp_path / "out.csv", *FLOAT32)
            assert ended.status == 0, ended.err
            assert [row["name"] for row in rows_of(tmp_path / "out.csv")] == ["a.csv", "b.csv"]
        ended = cli("predict", model, tmp_path / "in", "--output", tmp_path / "in" / "out.csv", *FLOAT32)
        assert ended.is_refusal and "lies in the folder" in ended.err

    def test_another_job_in_the_folder(self, cli, model, label_model, table, tmp_path):
        out = ("--output", f"{tmp_path}/out/", *FLOAT32)
        assert cli("predict", model, table, *out).status == 0
        ended = cli("predict", model, table, *out)
        assert ended.status == 0 and "done before" in ended.err
        ended = cli("predict", label_model, table, *out)
        assert ended.is_refusal and "differs in model.sha256" in ended.err and "--restart" in ended.err
        ended = cli("predict", model, table, *out, "--shard-rows", 7)
        assert ended.is_refusal and "--shard-rows (16384 then, 7 now)" in ended.err
        assert cli("predict", label_model, table, *out, "--restart").status == 0

    def test_refusals(self, cli, model, table, tmp_path):
        out = tmp_path / "out.csv"
        for arguments, word in (
            (["--output", out, "--limit", 0], "limit is 0"),
            (["--output", out, "--shard-rows", -1], "--shard-rows is -1"),
            (["--output", out, "--columns", "ident"], "no column 'ident'"),
            (["--output", out, "--skip-bad-rows", "--on-error", "column"], "leave one of them out"),
            (["--output", out, "--format", "csv"], "--format csv has no effect"),
            (["--output", f"{tmp_path}/out/", "--format", "npy"], "predictions are a table"),
            (["--output", out, "--num-workers", 2], "--num-workers cannot"),
            (["--output", out, "--engine", "ray", "--num-workers", 0], "--num-workers is 0"),
        ):
            ended = cli("predict", model, table, *arguments)
            assert ended.is_refusal and word in ended.err, ended
        assert sorted(path.name for path in tmp_path.iterdir()) == ["new.csv"]

    def test_options_of_tables_without_one(self, cli, model):
        for option in (
            ("--on-error", "skip"),
            ("--columns", "a"),
            ("--limit", 1),
            ("--format", "csv"),
            ("--shard-rows", 5),
            ("--restart",),
            ("--engine", "ray"),
        ):
            ended = cli("predict", model, "--text", "x", *option)
            assert ended.is_refusal and f"{option[0]} cannot" in ended.err

    def test_ray_is_given_what_was_typed(self, cli, model, table, tmp_path, monkeypatch):
        from bertblocks.cluster import ray
        from bertblocks.inference import predict_table

        given = []

        def told(*arguments, resources, **options):
            given.append(resources)
            return predict_table(*arguments, **options)

        monkeypatch.setattr(ray, "predict_table", told)
        options = ("--ray-address", "auto", "--num-workers", 3, "--cpus-per-worker", 2)
        out = ("--output", f"{tmp_path}/out/", "--engine", "ray", *options, "--gpus-per-worker", 0.5)
        assert cli("predict", model, table, *out, *FLOAT32).status == 0
        assert given == [
            ray.RayResources(address="auto", num_workers=3, cpus_per_worker=2, gpus_per_worker=0.5)
        ]
