"""Real processes, really killed: what is resumed ends as what was never interrupted."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tiny_tables import CLUES, class_texts, write_csv

# Beside other work a run may get little of the machine.
LONGEST_WAIT_S = 300.0


@pytest.fixture
def command(encoder, tmp_path):
    texts, labels = class_texts(90, tuple(CLUES))
    table = write_csv(tmp_path / "table.csv", {"text": texts, "label": labels})
    options = ["--text", "text", "--target", "label", "--encoder", encoder, "--precision", "float32"]
    options += ["--no-baseline", "--patience", 999, "--batch-tokens", 128, "--learning-rate", "1e-3"]

    def make(output, *arguments):
        places = ["train", table, "--output", tmp_path / output, *options, *arguments]
        return [str(word) for word in places]

    return make


def _heed_ctrl_c():
    # A shell without job control starts what runs in its background deaf to it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "bertblocks", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_heed_ctrl_c,
    )


def lines_of(log):
    return log.read_bytes().count(b"\n") if log.exists() else 0


def wait_for_steps(process, log, num_lines):
    """Wait until so many lines have been written to the log of a run, or it has ended."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    before = lines_of(log)
    while process.poll() is None and lines_of(log) == before:
        # A resumed run first drops repeated lines; then the log grows again.
        assert time.monotonic() < deadline, "the run wrote no step"
        time.sleep(0.002)
    before = lines_of(log)
    while process.poll() is None and lines_of(log) < before + num_lines:
        assert time.monotonic() < deadline, "the run hangs"
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("mode", "epochs", "num_kills"),
    [((), 60, 2), (("--freeze-encoder",), 200, 1)],
    ids=["fine-tuned", "frozen"],
)
def test_a_run_killed_at_random_moments(cli, command, tmp_path, mode, epochs, num_kills):
    chance = random.Random(11)
    arguments = [*mode, "--epochs", epochs]
    assert cli(*command("whole", *arguments, "--checkpoint-every-s", 0)).status == 0
    again = command("killed", *arguments, "--checkpoint-every-s", 0, "--resume")
    log = tmp_path / "killed.unfinished" / "training.jsonl"
    killed = 0
    while True:
        process = start(again)
        if killed < num_kills:
            wait_for_steps(process, log, chance.randrange(1, 30))
            time.sleep(chance.uniform(0, 0.01))
            process.kill()
        out, err = process.communicate(timeout=LONGEST_WAIT_S)
        if process.returncode == 0:
            break
        killed += 1
        assert killed <= num_kills, err.decode()
    assert killed >= 1
    whole, resumed = tmp_path / "whole", tmp_path / "killed"
    assert (whole / "model.safetensors").read_bytes() == (resumed / "model.safetensors").read_bytes()
    assert (whole / "metrics.json").read_bytes() == (resumed / "metrics.json").read_bytes()
    told = [steps_and_epochs(folder / "training.jsonl") for folder in (whole, resumed)]
    assert told[0] == told[1]
    steps = [step for kind, step, _ in told[1] if kind == "step"]
    assert steps == list(range(1, len(steps) + 1))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"killed", "killed-evaluation", "table.csv", "whole", "whole-evaluation"}
    assert not [path for path in resumed.rglob("*") if path.name.endswith(".partial") or path.name[0] == "."]
    assert b"The model is in" in out


def steps_and_epochs(log):
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [(entry["event"], entry["step"], entry.get("loss")) for entry in entries]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c(command, tmp_path):
    process = start(command("model", "--epochs", 400, "--checkpoint-every-s", 0))
    wait_for_steps(process, tmp_path / "model.unfinished" / "training.jsonl", 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST_WAIT_S)
    assert process.returncode == 130 and out == b"" and b"Traceback" not in err
    assert b"The same command with --resume goes on from the last checkpoint." in err
    assert (tmp_path / "model.unfinished").is_dir() and not (tmp_path / "model").exists()
