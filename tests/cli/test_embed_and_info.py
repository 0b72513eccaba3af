from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from bertblocks import sample
from bertblocks.blocks import Task, text_model
from bertblocks.cli.quickstart import _print_accuracy
from bertblocks.evaluation import Evaluation, GroupEvaluation, Metrics
from bertblocks.inference import load_encoder
from tiny_tables import class_texts, write_csv

FLOAT32 = ("--precision", "float32")


@pytest.fixture
def table(tmp_path):
    texts, labels = class_texts(12)
    return write_csv(tmp_path / "table.csv", {"text": texts, "label": labels})


class TestEmbed:
    @pytest.mark.parametrize("pooling", ["cls", "average", "max"])
    def test_an_array(self, cli, encoder, table, tmp_path, pooling):
        out = tmp_path / "vectors.npy"
        ended = cli(
            "embed", encoder, table, "--text", "text", "--output", out, "--pooling", pooling, *FLOAT32
        )
        assert ended.out == f"12 vectors of 32 numbers ({pooling}) are in {out}\n" and ended.err == ""
        expected = load_encoder(encoder, precision="float32").encode(class_texts(12)[0], output=pooling)
        np.testing.assert_allclose(np.load(out), expected, atol=1e-5)

    def test_a_column_of_a_table(self, cli, encoder, table, tmp_path):
        out = tmp_path / "out.jsonl"
        ended = cli("embed", encoder, table, "--text", "text", "--output", out, "--json", *FLOAT32)
        assert json.loads(ended.out)["num_rows"] == 12 and json.loads(ended.out)["pooling"] == "cls"
        rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        assert (
            len(rows) == 12 and set(rows[0]) == {"text", "label", "vector"} and len(rows[0]["vector"]) == 32
        )

    def test_a_model_is_an_encoder_too(self, cli, model, table, tmp_path):
        ended = cli("embed", model, table, "--text", "text", "--output", tmp_path / "v.npy", *FLOAT32)
        assert ended.status == 0, ended.err

    def test_texts_that_are_cut_are_told_of(self, cli, encoder, table, tmp_path):
        out = ("--output", tmp_path / "v.npy", *FLOAT32)
        ended = cli("embed", encoder, table, "--text", "text", "--sequence-length", 4, *out)
        assert ended.status == 0 and "12 texts were cut" in ended.err

    def test_rows_without_a_vector_are_told_of(self, cli, encoder, tmp_path):
        table = write_csv(tmp_path / "holes.csv", {"text": ["very good", ""], "n": [1, 2]})
        out = ("--output", tmp_path / "v.npy", "--skip-bad-rows", *FLOAT32)
        ended = cli("embed", encoder, table, "--text", "text", *out)
        assert ended.status == 0 and ended.err.startswith(
            f"{table}: 1 of 2 rows has no vector\n  missing value, 1"
        )

    def test_unknown_tokens_are_told_of(self, cli, encoder, tmp_path):
        table = write_csv(tmp_path / "odd.csv", {"text": ["very good", "好 好 good"]})
        out = ("--output", tmp_path / "v.npy", *FLOAT32)
        ended = cli("embed", encoder, table, "--text", "text", *out)
        assert ended.status == 0 and ended.err == "2 tokens (22.2%) are unknown to the vocabulary.\n"
        found = json.loads(cli("embed", encoder, table, "--text", "text", "--json", *out).out)
        assert (found["num_unknown"], found["num_tokens_read"]) == (2, 9)

    def test_refusals(self, cli, encoder, table, tmp_path):
        out = ("--output", tmp_path / "v.npy")
        for arguments, word in (
            ([encoder, table, "--text", "txt", *out], "no column 'txt'"),
            ([encoder, table, "--text", "text", "--sequence-length", 0, *out], "--sequence-length is 0"),
            ([encoder, table, "--text", "text", "--sequence-length", 300, *out], "ends at 128"),
            ([tmp_path, table, "--text", "text", *out], "config.json"),
            (["no-such-encoder", table, "--text", "text", *out], "no encoder 'no-such-encoder'"),
            ([encoder, table, "--text", "text", "--output", tmp_path / "v.doc"], "v.doc"),
        ):
            ended = cli("embed", *arguments)
            assert ended.is_refusal and word in ended.err, ended
        assert not (tmp_path / "v.npy").exists()


class TestInfo:
    def test_of_a_model(self, cli, model):
        found = json.loads(cli("info", model, "--json").out)
        assert (found["kind"], found["task"], found["labels"]) == (
            "model",
            "classification",
            ["bad", "colour", "good"],
        )
        assert found["blocks"][0]["name"] == "TextInput" and found["blocks"][-1]["name"] == "Target"
        assert found["opens_in_transformers_as"].startswith("AutoModelForSequenceClassification")
        ended = cli("info", model)
        assert ended.status == 0 and "Blocks, from input to prediction" in ended.out
        assert "│ BertPooler " in ended.out and "│ 1,056 parameters" in ended.out  # 32 x 32 + 32
        assert max(map(len, ended.out.split("prediction\n", 1)[1].splitlines())) <= 100
        assert "bad, colour, good" in ended.out and str(model) in ended.out

    def test_lines_are_short_whatever_they_tell(self, cli, model, monkeypatch):
        labels = [f"{index} {'long ' * 40}" for index in range(30)]
        monkeypatch.setattr(
            "bertblocks.cli.info._model_facts", lambda folder: ({"labels": labels, "a": 1}, "")
        )
        lines = cli("info", model).out.splitlines()
        assert max(map(len, lines)) <= 100 and lines[-1] == "a       1"
        assert "..., and 20 more" in lines[-2]

    def test_of_mini(self, cli):
        assert "160,000 tokens, cased\n" in cli("info", "mini").out

    def test_of_an_encoder(self, cli, encoder):
        found = json.loads(cli("info", encoder, "--json").out)
        assert found["kind"] == "encoder" and found["encoder_parameters"] > 1000
        assert found["sequence_length"] == 128 and found["default_pooling"] == "cls"
        assert (found["licence"], found["family"]) == ("not stated", "bert")
        assert found["weights_sha256"][0].endswith(" model.safetensors")
        assert "2 layers of 4 heads, 32 wide" in cli("info", encoder).out

    def test_of_a_graph_file(self, cli, tmp_path):
        path = tmp_path / "graph.json"
        text_model(task=Task(kind="regression"), encoder="multilingual-cased").save(path)
        ended = cli("info", path)
        assert ended.status == 0 and "177,854,209 parameters, 177,854,209 of them trainable" in ended.out
        found = json.loads(cli("info", path, "--json").out)
        assert (found["kind"], found["task"], len(found["blocks"])) == ("graph", "regression", 7)
        path.write_text("{}", encoding="utf-8")
        ended = cli("info", path)
        assert ended.is_refusal and "graph.json: This is not the JSON form of a graph" in ended.err

    def test_of_what_is_neither(self, cli, tmp_path):
        assert cli("info", tmp_path).is_refusal
        ended = cli("info", "multilingual-case")
        assert ended.is_refusal and "multilingual-cased" in ended.err

    def test_a_name_that_looks_like_markup(self, cli, encoder, tmp_path):
        folder = shutil.copytree(encoder, tmp_path / "[bold]model[")
        assert "[bold]model[" in cli("info", folder).out


def test_quickstart_counts_what_it_speaks_of(capsys):
    names = (*sample.TRAINING_LANGUAGES, "xx", "yy", "zz")
    metrics = Metrics(num_rows=4, values={"accuracy": 0.5})
    groups = tuple(GroupEvaluation(name=name, metrics=metrics, tokens=None) for name in names)
    evaluation = Evaluation(kind="classification", overall=metrics, group_by="language", groups=groups)
    _print_accuracy(evaluation, evaluation, num_classes=7)
    out = capsys.readouterr().out
    assert "(7 groups)" in out and "3 languages it has never seen" in out
    assert f"the {len(sample.TRAINING_LANGUAGES)} languages it was trained on" in out


def test_quickstart_overwrites_nothing(cli, tmp_path):
    (tmp_path / "model").mkdir()
    ended = cli("quickstart", "--output", tmp_path)
    assert ended.is_refusal and "is there already" in ended.err
