"""The fast path in one process with other models, threads and processes: answers as a fresh one gives them.

A library that keeps packed weights by their address answers with a freed model's weights after another is
loaded in its place, without an error; the same is looked for in all kernels, ours included.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
import torch
from small_encoders import LENGTHS, WAYS, every_way, is_same, prepared, run_script, states
from torch import Tensor

from bertblocks.encoder import BertEncoder

pytestmark = pytest.mark.usefixtures("quiet_zentorch")

BATCHES: list[list[int]] = [[1], [2], [1, 1, 1], [5], [31], LENGTHS, [33, 60, 7], [500] * 2, [64] * 64]
"""Lengths of the texts of a batch: 1 to 4,096 tokens."""
NUM_FREED = 20


def answers(encoder: BertEncoder) -> list[Tensor]:
    return [states(encoder, lengths) for lengths in BATCHES]


def all_same(way, found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(is_same(way, a, b) for a, b in zip(found, expected, strict=True))


def answers_of(encoders: list[BertEncoder] | None) -> list[list[Tensor]]:
    """Each way's answers; where no encoders are given, of one prepared here."""
    torch.set_num_threads(1)
    return [answers(encoders[index] if encoders else prepared(way)) for index, way in enumerate(WAYS)]


@pytest.fixture(scope="module")
def spawned():
    """A process of its own that has seen no model."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def fresh(spawned) -> dict[tuple[str, str], list[Tensor]]:
    """What one model answers, by each way, in a process that has seen no other."""
    return dict(zip(WAYS, spawned.submit(answers_of, None).result(timeout=60), strict=True))


def test_a_spawned_process_answers_with_encoders_that_it_is_sent(spawned, fresh):
    found = spawned.submit(answers_of, [prepared(way) for way in WAYS]).result(timeout=60)
    for way, of_way in zip(WAYS, found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(of_way, fresh[way], strict=True)), way


@every_way
def test_a_model_loaded_after_others_were_freed(way, fresh):
    lengths = BATCHES[6]
    for seed in range(1, 1 + NUM_FREED):
        other = prepared(way, seed)
        assert not is_same(way, states(other, lengths), fresh[way][6])
        del other
        if seed % 5 == 0:
            gc.collect()
    assert all_same(way, answers(prepared(way)), fresh[way])


@every_way
def test_two_models_by_turns(way, fresh):
    one, other = prepared(way), prepared(way, 1)
    expected = answers(other)
    for lengths, of_one, of_other in zip(BATCHES, fresh[way], expected, strict=True):
        for _ in range(2):
            assert is_same(way, states(one, lengths), of_one)
            assert is_same(way, states(other, lengths), of_other)


@every_way
@pytest.mark.parametrize("num_models", [1, 2])
def test_four_threads_at_once(way, num_models, fresh, threads):
    models = [prepared(way, seed) for seed in range(num_models)]
    expected = [fresh[way], *(answers(model) for model in models[1:])]
    threads(2)

    def ask(number: int) -> bool:
        model = number % num_models
        found = [states(models[model], lengths) for lengths in BATCHES[:-2]]
        return all_same(way, found, expected[model][:-2])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(8)))


# Threads that spin while they wait make a busy machine's other work slow.
FORK = """
import os, time
os.environ["GOMP_SPINCOUNT"] = "0"
import torch
from small_encoders import WAYS, prepared, states

def wait(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "hangs"

torch.set_num_threads(2)
lengths = [90] * 10
for way in WAYS:
    sizes = {"num_hidden_layers": 1, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 512}
    encoder = prepared(way, **sizes)
    expected = states(encoder, lengths)
    pid = os.fork()
    if pid == 0:
        same = torch.equal(states(encoder, lengths), expected)
        os._exit(0 if same and torch.get_num_threads() == 1 else 1)
    print(*way, wait(pid), torch.get_num_threads(), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_answers_on_one_thread_after_parallel_work():
    """Without encoder/forked.py it hangs, whichever kernels: the parent's threads are not carried over."""
    told = run_script(FORK, timeout=100).splitlines()
    assert told == [f"{precision} {kernels} 0 2" for precision, kernels in WAYS]
