"""Token ids, random weights and graphs of one's own, from the command line."""

from __future__ import annotations

import json

import pytest

from bertblocks.assembly import load_model
from bertblocks.blocks import text_model
from bertblocks.training import graph_settings
from tiny_ids import BAD_CELLS, YES_NO, ids_graph, order_rows, write_json_lines, write_parquet
from tiny_tables import class_texts, write_csv

TINY = ("--layers", 1, "--heads", 2, "--hidden-size", 32, "--intermediate-size", 64)
IDS = ("--ids", "events", "--vocabulary-size", 20, "--target", "label")
QUICK = ("--no-baseline", "--epochs", 1, "--precision", "float32")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_parquet(folder / "train.parquet", order_rows(800))
    write_json_lines(folder / "test.jsonl", order_rows(200, seed=1))
    write_json_lines(folder / "few.jsonl", order_rows(40))
    return folder


@pytest.fixture
def few(tables):
    return tables / "few.jsonl"


def test_order_is_learned_from_parquet_and_told_of_json_lines(cli, tables, tmp_path):
    """No count of ids tells these rows' classes: the encoder must read positions."""
    model = tmp_path / "model"
    trained = cli(
        *("train", tables / "train.parquet", *IDS, *TINY, "--output", model, "--precision", "float32"),
        *("--learning-rate", 3e-3, "--epochs", 12, "--batch-tokens", 512, "--no-baseline"),
    )
    assert trained.status == 0, trained.err
    evaluated = cli("evaluate", model, tables / "test.jsonl", "--precision", "float32", "--json")
    assert json.loads(evaluated.out)["metrics"]["accuracy"] >= 0.95

    renamed = write_json_lines(tmp_path / "renamed.jsonl", {"lists": order_rows(200, seed=1)["events"]})
    predicted = cli("predict", model, renamed, "--output", tmp_path / "out.jsonl")
    assert predicted.is_refusal and "no column 'events'" in predicted.err
    predicted = cli("predict", model, tables / "test.jsonl", "--output", tmp_path / "out.jsonl")
    assert predicted.status == 0, predicted.err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    right = sum(row["prediction"] == row["label"] for row in rows) / len(rows)
    assert right == json.loads(evaluated.out)["metrics"]["accuracy"]

    info = cli("info", model)
    assert "none: token ids 0 … 19 go in" in info.out and "TokenIdsInput" in info.out
    embedded = cli("embed", model, renamed, "--text", "lists", "--output", tmp_path / "v.npy")
    assert embedded.is_refusal and "takes token ids" in embedded.err


@pytest.mark.parametrize("name", BAD_CELLS)
def test_bad_lists_are_refused(cli, tmp_path, name):
    value, message = BAD_CELLS[name]
    rows = order_rows(30)
    rows["events"][6] = value
    table = write_json_lines(tmp_path / "table.jsonl", rows)
    ended = cli("train", table, *IDS, *TINY, *QUICK, "--output", tmp_path / "model")
    assert ended.is_refusal
    assert f"row 7 (line 7), column 'events': {message}" in ended.err
    assert not list(tmp_path.glob("model*"))


def test_bad_lists_can_be_left_out(cli, tmp_path):
    rows = order_rows(30)
    rows["events"][6] = [1, 2, 99]
    table = write_json_lines(tmp_path / "table.jsonl", rows)
    ended = cli("train", table, *IDS, *TINY, *QUICK, "--output", tmp_path / "model", "--skip-bad-rows")
    assert ended.status == 0
    assert "id out of range, 1: row 7 (line 7), column 'events': item 3 of the list is 99" in ended.err


def test_csv_is_refused(cli, tmp_path):
    table = write_csv(tmp_path / "table.csv", {"events": ["[1, 2, 3]"], "label": ["yes"]})
    ended = cli("train", table, *IDS, *TINY, "--output", tmp_path / "model")
    assert ended.is_refusal and "JSON Lines or Parquet" in ended.err and "to_json" in ended.err


@pytest.mark.parametrize(
    "options, message",
    [
        (("--ids", "events", "--target", "label"), "ids are given without --vocabulary-size"),
        ((*IDS, "--text", "a"), "text and ids are both given"),
        ((*IDS, "--encoder", "mini"), "lists of integers go into --encoder random"),
        ((*IDS, "--freeze-encoder"), "--freeze-encoder would keep"),
        ((*IDS, "--heads", 5), "which 5 heads cannot share"),
        (("--text", "a", "--target", "label", "--layers", 2), "brings its own"),
        (("--text", "a", "--target", "label", "--encoder", "random"), "name one with --vocabulary"),
        (("--target", "label"), "Missing --text"),
        (("--graph", "none.json"), "none.json is no file"),
    ],
)
def test_contradictions_come_before_the_table(cli, tmp_path, options, message):
    ended = cli("train", tmp_path / "absent.jsonl", *options, "--output", tmp_path / "model")
    assert ended.is_refusal and message in ended.err


def test_a_run_is_replayed_and_resumed(cli, few, tmp_path):
    command = ("train", few, *IDS, *TINY, *QUICK)
    assert cli(*command, "--output", tmp_path / "one").status == 0
    assert cli("train", "--config", tmp_path / "one/run.json", "--output", tmp_path / "two").status == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    again = cli(*command, "--output", tmp_path / "one", "--resume")
    assert again.status == 0 and "had finished before" in again.err


def test_random_weights_read_texts_and_pairs(cli, encoder, tmp_path):
    texts, labels = class_texts(40)
    table = write_csv(tmp_path / "table.csv", {"text": texts, "second": texts[::-1], "label": labels})
    model = tmp_path / "model"
    columns = ("--text", "text", "--text-pair", "second", "--target", "label")
    ended = cli(
        *("train", table, *columns, "--encoder", "random", "--vocabulary", encoder, *TINY, *QUICK),
        *("--sequence-length", 16, "--output", model),
    )
    assert ended.status == 0, ended.err
    loaded = load_model(model)
    assert loaded.origin == "random weights" and loaded.sequence_length == 16
    assert loaded.tokenizer.vocabulary_size == loaded.module.encoder.config.vocab_size
    assert cli("predict", model, "--text", "good", "--text-pair", "bad").status == 0
    assert cli("evaluate", model, table).status == 0
    refused = cli("evaluate", model, table, "--ids", "text")
    assert refused.is_refusal and "takes pairs of texts" in refused.err


def test_a_baseline_counts_ids(cli, tmp_path):
    """Rows with the id 7 are "yes": no order, so that counting is enough."""
    rows = order_rows(200)
    rows["label"] = ["yes" if 7 in ids else "no" for ids in rows["events"]]
    table = write_json_lines(tmp_path / "table.jsonl", rows)
    ended = cli("train", table, *IDS, *TINY, "--epochs", 1, "--output", tmp_path / "model", "--json")
    assert json.loads(ended.out)["baseline"]["metrics"]["values"]["accuracy"] >= 0.9


class TestGraphs:
    @pytest.fixture
    def graph_file(self, tmp_path):
        path = tmp_path / "graph.json"
        path.write_text(json.dumps(ids_graph().to_json()))
        return path

    def test_a_graph_is_trained_as_it_is(self, cli, few, graph_file, tmp_path):
        ended = cli("train", few, "--graph", graph_file, *QUICK, "--output", tmp_path / "model")
        assert ended.status == 0, ended.err
        assert load_model(tmp_path / "model").graph == ids_graph()
        # The record holds the graph itself: the file may be gone.
        graph_file.unlink()
        replayed = cli("train", "--config", tmp_path / "model/run.json", "--output", tmp_path / "other")
        assert replayed.status == 0, replayed.err
        assert load_model(tmp_path / "other").graph == ids_graph()

    def test_options_that_say_the_same_are_taken(self, cli, few, graph_file, tmp_path):
        same = ("--ids", "events", "--target", "label", "--layers", 1, "--pooling", "cls")
        ended = cli("train", few, "--graph", graph_file, *same, *QUICK, "--output", tmp_path / "model")
        assert ended.status == 0, ended.err

    def test_options_that_say_otherwise_are_refused_by_name(self, cli, few, graph_file, tmp_path):
        other = ("--text", "a", "--encoder", "mini", "--pooling", "max", "--freeze-encoder", "--target", "y")
        ended = cli("train", few, "--graph", graph_file, *other, *QUICK, "--output", tmp_path / "model")
        assert ended.is_refusal
        for part in (
            "--text is 'a'",
            "--encoder is 'mini', but the graph says 'random'",
            "--pooling",
            "--text is 'a', but the graph has no such",
        ):
            assert part in ended.err
        assert "--freeze-encoder" in ended.err and "--target" in ended.err

    def test_a_graph_of_other_classes_is_refused(self, cli, graph_file, tmp_path):
        rows = order_rows(30)
        rows["label"] = ["a", "b", "c"] * 10
        table = write_json_lines(tmp_path / "table.jsonl", rows)
        ended = cli("train", table, "--graph", graph_file, *QUICK, "--output", tmp_path / "model")
        assert ended.is_refusal and "set Dense(3, " in ended.err
        assert not list(tmp_path.glob("model*"))

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"blocks": [{"block": "Magic"}]}'])
    def test_what_is_no_graph(self, cli, few, tmp_path, content):
        path = tmp_path / "graph.json"
        path.write_text(content)
        ended = cli("train", few, "--graph", path, "--output", tmp_path / "model")
        assert ended.is_refusal

    def test_a_graph_of_texts(self, cli, encoder, tmp_path):
        texts, labels = class_texts(40)
        table = write_csv(tmp_path / "table.csv", {"text": texts, "label": labels})
        task = YES_NO
        graph = text_model(task=task, encoder=str(encoder), target="label", sequence_length=16, pooling="max")
        path = tmp_path / "graph.json"
        path.write_text(json.dumps(graph.to_json()))
        ended = cli("train", table, "--graph", path, *QUICK, "--output", tmp_path / "model")
        assert ended.status == 0, ended.err
        settings = json.loads((tmp_path / "model/run.json").read_text())["settings"]
        decided = graph_settings(graph)
        assert {name: settings[name] for name in decided} == decided


def test_help_has_headings(cli):
    out = cli("train", "--help").out
    for heading in ("The table:", "The model:", "Random weights", "Training:", "The run:"):
        assert heading in out


def test_a_model_of_ids_refuses_texts(cli, few, tmp_path):
    model = tmp_path / "model"
    assert cli("train", few, *IDS, *TINY, *QUICK, "--output", model).status == 0
    for ended in (cli("predict", model, "--text", "a text"), cli("predict", model, stdin=b"a text\n")):
        assert ended.is_refusal and "token ids" in ended.err
    ended = cli("evaluate", model, few, "--text", "label")
    assert ended.is_refusal and "this model takes token ids" in ended.err
