"""Real processes, really killed: a job that is called again ends with the bytes of an uninterrupted one."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tiny_tables import CLUES, class_texts

LONGEST_WAIT_S = 300.0
NUM_ROWS = 12_000
HOSTILE = (
    "",
    "   ",
    "\x00",
    "<script>alert(1)</script>",
    "=1+1",
    "ᚠ" * 50,
    "שלום עולם",
    "日本語" * 40,
    "good " * 3000,
    '"quoted", and\nbroken',
    "a\u202eb",
    "🏳️‍🌈" * 30,
    "[MASK] [CLS] [SEP]",
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows of which one in forty is hostile, and some cannot be read at all."""
    draw = random.Random(3)
    texts, _ = class_texts(NUM_ROWS, tuple(CLUES))
    path = tmp_path_factory.mktemp("rows") / "table.csv"
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for number, text in enumerate(texts):
            if number % 40 == 7:
                text = draw.choice(HOSTILE)
            elif number % 997 == 5:
                text = "caf\udce9 good"
            row = [number, text] if number % 1009 != 11 else [number, text, "a cell", "too many"]
            writer.writerow(row)
    return path


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "bertblocks", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def killed_until_done(arguments, folder, num_kills, chance):
    """Start a job again and again, and kill it as many times, each time after it has done some parts more."""
    kills = 0
    while True:
        process = start(*arguments)
        if kills < num_kills:
            wait_for_parts(process, folder, chance.randrange(1, 3))
            time.sleep(chance.uniform(0, 0.05))
            process.kill()
        out, err = process.communicate(timeout=LONGEST_WAIT_S)
        if process.returncode == 0:
            return kills, out.decode(), err.decode()
        assert process.returncode == -signal.SIGKILL, err.decode()
        kills += 1


def wait_for_parts(process, folder, num_parts):
    deadline = time.monotonic() + LONGEST_WAIT_S
    wanted = parts_in(folder) + num_parts
    while process.poll() is None and parts_in(folder) < wanted:
        assert time.monotonic() < deadline, "the job hangs"
        time.sleep(0.002)


def parts_in(folder):
    return len(list(folder.glob("_job/part-*.json")))


@pytest.mark.parametrize(
    ("name", "options"),
    [("out.csv", ("--on-error", "column")), ("out.parquet", ("--skip-bad-rows",)), ("out/", ())],
)
def test_predict(cli, model, table, tmp_path, name, options):
    options = ["--shard-rows", 1500, "--precision", "float32", *options]
    whole = tmp_path / "whole" / name.strip("/")
    ended = cli("predict", model, table, "--output", f"{whole}{'/' if name.endswith('/') else ''}", *options)
    assert ended.status == 0, ended.err
    output = tmp_path / name.strip("/")
    folder = output if name.endswith("/") else tmp_path / f"{name}.unfinished"
    arguments = ["predict", model, table, "--output", f"{tmp_path}/{name}", *options]
    kills, out, err = killed_until_done(arguments, folder, 2, random.Random(name))
    assert kills >= 1 and "done before: going on from there." in err
    assert out == ended.out.replace(f"{whole}", f"{output}")
    if name.endswith("/"):
        assert {path.name for path in output.glob("part-*")} == {path.name for path in whole.glob("part-*")}
        for path in whole.rglob("*"):
            same = path.is_dir() or (output / path.relative_to(whole)).read_bytes() == path.read_bytes()
            assert same, path
    else:
        assert output.read_bytes() == whole.read_bytes()
        assert not folder.exists()
    assert not [path for path in tmp_path.rglob("*") if ".partial" in path.name]


def test_embed(cli, encoder, table, tmp_path):
    options = ["--text", "text", "--shard-rows", 1500, "--precision", "float32", "--skip-bad-rows"]
    ended = cli("embed", encoder, table, "--output", tmp_path / "whole.npy", *options)
    assert ended.status == 0, ended.err
    arguments = ["embed", encoder, table, "--output", tmp_path / "out.npy", *options]
    kills, _, _ = killed_until_done(arguments, tmp_path / "out.npy.unfinished", 2, random.Random(5))
    assert kills >= 1
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert np.load(tmp_path / "out.npy").shape[1] == 32


def test_hostile_rows_are_all_there_with_their_errors(cli, model, table, tmp_path):
    ended = cli("predict", model, table, "--output", f"{tmp_path}/out/", "--format", "csv", "--json")
    assert ended.status == 0
    with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        given = list(csv.reader(file))[1:]
    (part,) = (tmp_path / "out").glob("part-*.csv")
    with part.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(given) == NUM_ROWS
    for row, before in zip(found, given, strict=True):
        readable = len(before) == 2 and "\udce9" not in before[1]
        usable = readable and bool(before[1].strip())
        assert row["id"] == (before[0] if readable else "") and row["text"] == (before[1] if readable else "")
        assert bool(row["prediction"]) == usable and bool(row["error"]) == (not usable)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c(model, table, tmp_path):
    process = start("predict", model, table, "--output", f"{tmp_path}/out/", "--shard-rows", 500)
    wait_for_parts(process, tmp_path / "out", 1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=LONGEST_WAIT_S)
    assert process.returncode == 130 and out == b"" and b"Traceback" not in err
    assert b"the same command goes on from there." in err
