from __future__ import annotations

import json
import re

import pytest

from tiny_ids import ids_model


def test_a_text(cli, model):
    ended = cli("explain", model, "the film was very good")
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("Answer: good; good has a probability of ")
    assert lines[1].split() == ["word", "attribution", "without", "it"]
    assert lines[2].split()[0] == "good" and lines[2].split()[1].startswith("+")
    assert re.search(r"The words add up to .*, after \d+ gradients\.", ended.out)
    assert "agrees by" in ended.out
    assert "\x1b" not in ended.out


@pytest.mark.parametrize("method", ["integrated-gradients", "leave-one-out", "gradient"])
def test_methods(cli, model, method):
    ended = cli("explain", model, "the film was very good", "--method", method)
    assert ended.status == 0, ended.err
    header = ended.out.splitlines()[1].split()
    assert header == (["word", "without", "it"] if method == "leave-one-out" else ["word", "attribution"])


def test_another_label(cli, model):
    ended = cli("explain", model, "the film was very good", "--label", "bad", "--json")
    found = json.loads(ended.out)
    assert (found["answer"], found["label"]) == ("good", "bad")
    assert min(found["words"], key=lambda word: word["attribution"])["text"] == "good"


def test_a_pipe(cli, model):
    stdin = b"the film was good\n\nthe food was awful\n"
    ended = cli("explain", model, stdin=stdin)
    assert ended.status == 0, ended.err
    assert "1 blank line was left out." in ended.err
    assert "the food was awful" in ended.out and ended.out.count("Answer: ") == 2
    ended = cli("explain", model, "--json", "--method", "gradient", stdin=stdin)
    assert [json.loads(line)["text"] for line in ended.out.splitlines()] == [
        "the film was good",
        "the food was awful",
    ]


def test_files(cli, model, tmp_path):
    page, attention, data = tmp_path / "words.html", tmp_path / "attention.html", tmp_path / "words.json"
    ended = cli("explain", model, "a good film", "--output", page, "--attention", attention)
    assert ended.status == 0, ended.err
    assert f"Written: {page}" in ended.err and f"Written: {attention}" in ended.err
    assert "<mark" in page.read_text(encoding="utf-8")
    assert '"queries"' in attention.read_text(encoding="utf-8")
    assert cli("explain", model, "a good film", "--output", data).status == 0
    assert json.loads(data.read_text(encoding="utf-8"))["text"] == "a good film"
    stdin = b"a good film\nan awful film\n"
    assert cli("explain", model, "--output", data, stdin=stdin).status == 0
    assert len(json.loads(data.read_text(encoding="utf-8"))) == 2


def test_pairs_and_numbers(cli, pair_model):
    ended = cli("explain", pair_model, "the film", "--text-pair", "good good music")
    assert ended.status == 0, ended.err
    assert "(second text)" in ended.out and "the number that is predicted" in ended.out
    assert cli("explain", pair_model, "the film").is_refusal


def test_several_labels(cli, label_model):
    ended = cli("explain", label_model, "the cat and a dog", "--label", "DOG")
    assert ended.status == 0, ended.err
    assert "DOG has a probability of" in ended.out


def test_token_ids(cli, tmp_path):
    ids_model().save(tmp_path / "model")
    ended = cli("explain", tmp_path / "model", "3 1 19 2")
    assert ended.status == 0, ended.err
    assert "19" in ended.out and "the average word vector" in ended.out
    assert cli("explain", tmp_path / "model", "three").is_refusal
    assert cli("explain", tmp_path / "model", "3 1 19 2", "--attention", tmp_path / "a.html").is_refusal


def test_long_texts_show_their_strongest_words(cli, model):
    ended = cli("explain", model, "the food was bad and " * 5 + "good", "--method", "gradient")
    assert "... and 11 weaker words; --output or --json has all." in ended.out


def test_hostile_texts(cli, model):
    ended = cli("explain", model, "a [bold red]good[/] film\x1b[31m :smile:\n<b>\u2028")
    assert ended.status == 0, ended.err
    assert "\x1b" not in ended.out and "\u2028" not in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        (" ",),
        ("a good film", "--label", "nothing"),
        ("a good film", "--text-pair", "b"),
        ("a good film", "--output", "x.txt"),
        ("a good film", "--attention", "x.json"),
        ("a good film", "--attention", "x.html", "--output", "x.html"),
        ("word " * 70, "--attention", "x.html"),
        ("a good film", "--device", "tpu"),
    ],
)
def test_refusals(cli, model, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    ended = cli("explain", model, *arguments)
    assert ended.is_refusal, ended
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [("--attention", "x.html"), ("--text-pair", "b"), ()])
def test_refusals_of_a_pipe(cli, model, arguments):
    assert cli("explain", model, *arguments, stdin=b"\n \n").is_refusal


def test_a_folder_that_is_no_model(cli, tmp_path):
    assert cli("explain", tmp_path, "a good film").is_refusal
