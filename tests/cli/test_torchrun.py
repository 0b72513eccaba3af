"""`bertblocks train` under torchrun: two processes, one model, one voice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tiny_tables import CLUES, class_texts, write_csv

LONGEST_WAIT_S = 300.0


@pytest.fixture
def command(encoder, tmp_path):
    texts, labels = class_texts(90, tuple(CLUES))
    table = write_csv(tmp_path / "table.csv", {"text": texts, "label": labels})
    quiet = shutil.copytree(encoder, tmp_path / "encoder")
    config = json.loads((quiet / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (quiet / "config.json").write_text(json.dumps(config), encoding="utf-8")
    graph = tmp_path / "graph.json"

    from bertblocks.blocks import Task, text_model

    task = Task(kind="classification", labels=tuple(CLUES))
    text_model(task=task, encoder=str(quiet), target="label", sequence_length=32, dropout=0.0).save(graph)
    options = ["--graph", graph, "--precision", "float32", "--no-baseline", "--patience", 999]
    options += ["--batch-tokens", 128, "--learning-rate", "1e-3"]

    def make(output, *arguments):
        places = ["train", table, "--output", tmp_path / output, *options, *arguments]
        return [str(word) for word in places]

    return make


def start(arguments, count=2):
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m", "bertblocks"]
    return subprocess.Popen(
        [sys.executable, "-m", *launcher, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_in_a_group_that_heeds_ctrl_c,
    )


def _in_a_group_that_heeds_ctrl_c():
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def ended(process):
    out, err = process.communicate(timeout=LONGEST_WAIT_S)
    return process.returncode, out.decode(), err.decode()


def test_two_processes_make_the_model_of_one(cli, command, tmp_path):
    one = cli(*command("one", "--epochs", 3))
    assert one.status == 0, one.err
    status, out, err = ended(start(command("two", "--epochs", 3)))
    assert status == 0, err
    assert out == one.out.replace(str(tmp_path / "one"), str(tmp_path / "two")), "each is said once"
    assert err.count("Epoch 1:") == 1 and "Traceback" not in err
    figures = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two")]
    assert figures[0]["rows"] == figures[1]["rows"] == 9
    assert figures[0]["metrics"] == pytest.approx(figures[1]["metrics"], rel=1e-4)
    steps = [
        [json.loads(line) for line in (tmp_path / name / "training.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert len(steps[0]) == len(steps[1])
    for mine, theirs in zip(*steps, strict=True):
        assert mine["step"] == theirs["step"]
        if mine["event"] == "step":
            assert mine["num_tokens"] == theirs["num_tokens"]
            assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    record = json.loads((tmp_path / "two" / "run.json").read_text(encoding="utf-8"))
    assert record["processes"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "encoder",
        "graph.json",
        "one",
        "one-evaluation",
        "table.csv",
        "two",
        "two-evaluation",
    ]


def test_a_mistake_is_told_once_and_ends_all(command, tmp_path):
    status, out, err = ended(start(command("model", "--epochs", 3, "--validation", "none.csv")))
    assert status != 0 and out == ""
    assert err.count("error: none.csv does not exist.") == 1
    assert not (tmp_path / "model").exists() and not (tmp_path / "model.unfinished").exists()


def test_killed_and_gone_on_with_another_number(cli, command, tmp_path):
    again = command("killed", "--epochs", 60, "--checkpoint-every-s", 0, "--resume")
    log = tmp_path / "killed.unfinished" / "training.jsonl"
    process = start(again)
    deadline = time.monotonic() + LONGEST_WAIT_S
    wanted = random.Random(3).randrange(5, 30)
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= wanted):
        assert time.monotonic() < deadline, "the run hangs"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # torchrun's workers are in sessions of their own, and end with it.
    resumed = cli(*again)
    assert resumed.status == 0, resumed.err
    assert "began with other processes (2 then, 1 now)" in resumed.err
    whole = cli(*command("whole", "--epochs", 60))
    assert whole.status == 0
    losses = []
    for name in ("killed", "whole"):
        lines = [json.loads(line) for line in (tmp_path / name / "training.jsonl").read_text().splitlines()]
        losses.append([(line["step"], line["loss"]) for line in lines if line["event"] == "step"])
    assert [step for step, _ in losses[0]] == [step for step, _ in losses[1]]
    assert losses[0][wanted][1] == pytest.approx(losses[1][wanted][1], rel=1e-3)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a group")
def test_ctrl_c(command, tmp_path):
    process = start(command("model", "--epochs", 400, "--checkpoint-every-s", 0))
    log = tmp_path / "model.unfinished" / "training.jsonl"
    deadline = time.monotonic() + LONGEST_WAIT_S
    while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= 3):
        assert time.monotonic() < deadline, "the run hangs"
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    status, out, err = ended(process)
    assert status != 0 and out == ""
    assert err.count("The same command with --resume goes on from the last checkpoint.") <= 1
    assert (tmp_path / "model.unfinished").is_dir() and not (tmp_path / "model").exists()
