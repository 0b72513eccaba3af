"""Texts tokenized in processes of their own: the same ids, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_tokenizers import unigram

from bertblocks.errors import BertBlocksError, ConfigError, DataError
from bertblocks.text import load_tokenizer, workers
from bertblocks.text.workers import TokenizerWorkers, usual_num_workers

TEXTS = [f"text {'number ' * (i % 7)}{i} déjà vu 漢字 \ud800" if i % 11 else "" for i in range(90)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(workers, "_PART_ROWS", 8)
    monkeypatch.setattr(workers, "_MIN_ROWS", 16)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("english-uncased", sequence_length=12)


@pytest.fixture
def two(tokenizer):
    with TokenizerWorkers(tokenizer, 2) as made:
        yield made


def processes_of(two: TokenizerWorkers) -> list[subprocess.Popen]:
    return [worker._process for worker in two._workers]


def assert_equal(found, expected):
    assert len(found) == len(expected) and found.windows == expected.windows
    for row, wanted in zip(found.ids, expected.ids, strict=True):
        assert row.dtype == wanted.dtype and row.tolist() == wanted.tolist()
    for name in ("num_first", "num_tokens", "truncated", "num_unknown"):
        some, others = getattr(found, name), getattr(expected, name)
        assert some.dtype == others.dtype and np.array_equal(some, others), name


def test_the_ids_are_the_same(two, tokenizer):
    assert_equal(two.encode(TEXTS), tokenizer.encode(TEXTS))
    assert_equal(two.encode(TEXTS[::-1], TEXTS), tokenizer.encode(TEXTS[::-1], TEXTS))
    assert len(processes_of(two)) == 2


def test_texts_in_windows(tokenizer):
    sliding = tokenizer.with_windows("slide")
    with TokenizerWorkers(sliding, 2) as two:
        assert_equal(two.encode(TEXTS), sliding.encode(TEXTS))


def test_a_tokenizer_of_another_kind(tmp_path):
    unigram().save(str(tmp_path / "tokenizer.json"))
    other = load_tokenizer(tmp_path)
    with TokenizerWorkers(other, 2) as two:
        assert_equal(two.encode(TEXTS), other.encode(TEXTS))


def test_few_texts_need_no_process(two, tokenizer):
    assert_equal(two.encode(TEXTS[:15]), tokenizer.encode(TEXTS[:15]))
    assert_equal(two.encode([]), tokenizer.encode([]))
    with TokenizerWorkers(tokenizer, 0) as none:
        assert_equal(none.encode(TEXTS), tokenizer.encode(TEXTS))
    assert not processes_of(two)


def test_what_is_no_text_is_named_by_its_own_row(two):
    with pytest.raises(DataError, match="row 70 is None"):
        two.encode([*TEXTS[:70], None, *TEXTS[71:]])
    with pytest.raises(DataError, match="differ in length: 90 and 89"):
        two.encode(TEXTS, TEXTS[1:])
    with pytest.raises(DataError, match="is a single str"):
        two.encode("a" * 90)


def test_an_error_of_a_worker_comes_back_and_it_goes_on(tokenizer):
    with TokenizerWorkers(tokenizer.with_windows("slide"), 2) as two:
        with pytest.raises(ConfigError, match="'slide' is for single texts"):
            two.encode(TEXTS, TEXTS)
        assert len(two.encode(TEXTS)) == len(TEXTS)


def test_a_worker_that_dies_is_told(two):
    two.encode(TEXTS)
    for process in processes_of(two):
        process.kill()
        process.wait()
    with pytest.raises(BertBlocksError, match="has ended before its work was done"):
        two.encode(TEXTS)


def test_when_the_block_ends_the_processes_have_ended(tokenizer):
    with TokenizerWorkers(tokenizer, 2) as two:
        two.encode(TEXTS)
        processes = processes_of(two)
        assert all(process.poll() is None for process in processes)
    assert all(process.poll() is not None for process in processes)
    two.close()


def test_who_stops_early_leaves_no_process(tokenizer):
    processes = []
    with pytest.raises(KeyboardInterrupt), TokenizerWorkers(tokenizer, 2) as two:
        threads = two._started()
        threads.submit(two._encode_part, [["word " * 200_000]])
        processes += processes_of(two)
        raise KeyboardInterrupt
    assert all(process.poll() is not None for process in processes)


@pytest.mark.parametrize("number", [-1, 1.5, True, None, "2"])
def test_numbers_of_processes_that_cannot_be(tokenizer, number):
    with pytest.raises(ConfigError, match="num_workers is"):
        TokenizerWorkers(tokenizer, number)


def test_a_cpu_has_none_and_a_gpu_some():
    assert usual_num_workers("cpu") == 0
    assert 0 <= usual_num_workers("cuda") <= 8


_SCRIPT = """
from bertblocks.text import load_tokenizer, workers
workers._MIN_ROWS = 4
with workers.TokenizerWorkers(load_tokenizer("english-uncased"), 2) as two:
    assert len(two.encode(["a text"] * 9)) == 9
    print(*[worker._process.pid for worker in two._workers], flush=True)
    {then}
"""


def run_script(path: Path, then: str) -> subprocess.Popen:
    path.write_text(_SCRIPT.format(then=then), encoding="utf-8")
    return subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)


def test_a_script_without_a_guarded_main_part_is_not_run_again(tmp_path):
    with run_script(tmp_path / "script.py", "pass") as script:
        printed, _ = script.communicate(timeout=60)
    assert script.returncode == 0 and len(printed.splitlines()) == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path):
    with run_script(tmp_path / "script.py", "import time; time.sleep(60)") as script:
        pids = [int(pid) for pid in script.stdout.readline().split()]
        os.kill(script.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2 and not any(is_alive(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    """Whether it still runs; nobody may be there to collect it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
