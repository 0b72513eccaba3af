"""Several processes train what one does: two against one, more than there are texts, stopped and resumed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from one_of_many import free_port, together, variables
from tiny_runs import run, weights

from bertblocks.training import EpochDone, StepDone
from bertblocks.training.processes import ALONE, Processes, joined_processes
from tiny_tables import class_texts, label_lists, numbers

QUIET = {"dropout": 0.0, "checkpoint_every_s": 3600.0}


@pytest.fixture(scope="module")
def encoder(tiny_encoder, tmp_path_factory):
    """An encoder that drops nothing, so that only rounding tells one process from two."""
    folder = shutil.copytree(tiny_encoder("cased"), tmp_path_factory.mktemp("quiet") / "encoder")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def steps_of(events):
    return [event for event in events if isinstance(event, StepDone)]


def epochs_of(events):
    return [event for event in events if isinstance(event, EpochDone)]


def alone(job):
    """The run in this process, as one of several would note it."""
    events = []
    found = run(**job, on_event=events.append)
    return {"events": events, "weights": weights(found), "task": found.model.task, "outcome": found.outcome}


def check_alike(one, other, *, tolerance=2e-5):
    """The same steps of the same texts, and numbers that differ by rounding."""
    for mine, theirs in zip(steps_of(one["events"]), steps_of(other["events"]), strict=True):
        for name in ("step", "num_steps", "epoch", "num_texts", "num_tokens", "learning_rate"):
            assert getattr(mine, name) == getattr(theirs, name), name
        assert mine.loss == pytest.approx(theirs.loss, rel=1e-4, abs=tolerance)
        assert mine.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-3, abs=tolerance)
    for mine, theirs in zip(epochs_of(one["events"]), epochs_of(other["events"]), strict=True):
        assert mine.best == theirs.best
        for name, value in theirs.metrics.items():
            assert mine.metrics[name] == pytest.approx(value, rel=1e-4, abs=tolerance), name
    assert one["outcome"] == other["outcome"]
    for name, weight in other["weights"].items():
        torch.testing.assert_close(one["weights"][name], weight, rtol=1e-3, atol=tolerance, msg=name)


class TestShares:
    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    @pytest.mark.parametrize("num_texts", [0, 1, 2, 40])
    def test_everything_is_done_once_and_by_nearly_equal_shares(self, count, num_texts):
        lengths = np.random.default_rng(num_texts).integers(3, 60, num_texts)
        shares = [Processes(rank=rank, count=count).share(lengths) for rank in range(count)]
        assert sorted(np.concatenate(shares).tolist()) == list(range(num_texts))
        assert all((np.diff(share) > 0).all() for share in shares)
        loads = [int(lengths[share].sum()) for share in shares]
        assert max(loads) - min(loads) <= max([0, *lengths])

    def test_one_process_keeps_the_order(self):
        assert ALONE.share([5, 1, 9]).tolist() == [0, 1, 2]

    def test_one_process_talks_to_nobody(self):
        rows, weight = np.ones((2, 3), np.float32), torch.nn.Parameter(torch.ones(2))
        assert ALONE.rows_together(rows, np.arange(2), 2) is rows
        assert ALONE.told("x") == "x" and ALONE.gathered(1) == [1] and ALONE.sums([1.5]) == [1.5]
        ALONE.sum_gradients([weight])
        assert weight.grad is None and ALONE.told_tensors({"a": weight.data})["a"] is not None
        before = torch.get_rng_state()
        ALONE.draw_apart(0)
        assert torch.equal(before, torch.get_rng_state())

    @pytest.mark.parametrize(
        "variables", [{}, {"WORLD_SIZE": "2"}, {"RANK": "0", "WORLD_SIZE": "1"}, {"RANK": "0"}]
    )
    def test_without_torchrun_a_process_is_alone(self, monkeypatch, variables):
        for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with joined_processes() as processes:
            assert processes is ALONE


def test_two_processes_train_what_one_does(encoder, tmp_path):
    texts, labels = class_texts(90, ("bad", "colour", "good"))
    common = {"encoder": encoder, **QUIET}
    jobs = [
        {
            **common,
            "texts": texts,
            "targets": labels,
            "validation": class_texts(23, ("bad", "colour", "good")),
        },
        # Several parts a step, weights of classes and rows, no validation.
        {
            **common,
            "texts": texts,
            "targets": labels,
            "batch_tokens": 40,
            "class_weight": "auto",
            "row_weights": [1.0 + i % 3 for i in range(90)],
            "optimizer": "google-adamw",
            "pooling": "average",
        },
        {**common, "texts": (t := numbers(40))[0], "targets": t[1], "validation": numbers(9, seed=1)},
        {
            **common,
            "texts": (t := label_lists(64))[0],
            "targets": t[1],
            "validation": label_lists(21, seed=1),
        },
        # The encoder is frozen: all of them run it, the first trains the head.
        {
            **common,
            "texts": texts,
            "targets": labels,
            "validation": class_texts(23, ("bad", "colour", "good")),
            "trainable": False,
            "epochs": 5,
        },
        # The best epoch is an early one, and the run stops after it.
        {
            **common,
            "texts": texts,
            "targets": labels,
            "validation": (texts[:20], labels[1:21]),
            "metric": "loss",
            "patience": 2,
            "epochs": 12,
        },
    ]
    first, second = together(jobs, tmp_path)
    for number, job in enumerate(jobs):
        expected = alone(job)
        check_alike(first[number], expected)
        assert first[number]["task"].labels == second[number]["task"].labels == expected["task"].labels
        assert first[number]["task"] == second[number]["task"], "thresholds are the first's"
        assert first[number]["weights"].keys() == second[number]["weights"].keys()
        for name, weight in first[number]["weights"].items():
            assert torch.equal(weight, second[number]["weights"][name]), name
    assert first[5]["outcome"] == "stopped early"


def test_more_processes_than_texts_in_a_step(encoder, tmp_path):
    texts, labels = class_texts(7)
    job = {"encoder": encoder, **QUIET, "texts": texts, "targets": labels, "validation": class_texts(2)}
    job |= {"min_batch_texts": 1, "batch_tokens": 8, "epochs": 2}
    expected = alone(job)
    assert min(step.num_texts for step in steps_of(expected["events"])) == 1
    for found in together([job], tmp_path, count=3):
        check_alike(found[0], expected)


def test_stopped_runs_go_on_whatever_the_number_of_processes(encoder, tiny_encoder, tmp_path):
    texts, labels = class_texts(80)
    common = {"texts": texts, "targets": labels, "validation": class_texts(20, seed=1), "epochs": 3}
    common |= {"checkpoint_every_s": 0.0, "batch_tokens": 128}
    dropping = {**common, "encoder": tiny_encoder("cased")}
    quiet = {**common, "encoder": encoder, "dropout": 0.0}
    works = [tmp_path / name for name in ("dropping", "two", "one", "from_one")]
    for work in works:
        work.mkdir()
    stopped = {"resume": True, "stop_after": 7}
    # One process begins what two will go on with.
    with pytest.raises(RuntimeError, match="stopped"):
        run(**quiet, work=works[3], on_event=stop_after_7)
    found, other = together(
        [
            dropping,
            {**dropping, **stopped, "work": works[0]},
            {**dropping, "resume": True, "work": works[0]},
            {**quiet, **stopped, "work": works[1]},
            {**quiet, **stopped, "work": works[2]},
            {**quiet, "resume": True, "work": works[3]},
        ],
        tmp_path,
    )
    whole, _, resumed, _, _, from_one = found
    for name, weight in whole["weights"].items():
        assert torch.equal(weight, resumed["weights"][name]), "with dropout, to the bit"
        assert torch.equal(weight, other[0]["weights"][name])
    assert steps_of(resumed["events"])[0].step == 7
    expected = alone(quiet)
    later = {**expected, "events": expected["events"][tail_of(expected["events"], 7) :]}
    check_alike(from_one, later)
    # What two began, one and three end.
    in_one = []
    weights_of_one = weights(run(**quiet, work=works[2], resume=True, on_event=in_one.append))
    check_alike({"events": in_one, "weights": weights_of_one, "outcome": "all epochs done"}, later)
    in_three = together([{**quiet, "resume": True, "work": works[1]}], tmp_path, count=3)[0][0]
    check_alike(in_three, later)


def stop_after_7(event):
    if isinstance(event, StepDone) and event.step == 7:
        raise RuntimeError("stopped")


def tail_of(events, step):
    return next(i for i, event in enumerate(events) if isinstance(event, StepDone) and event.step == step)


def test_processes_drop_other_elements():
    # With every text twice, two processes that dropped alike would have the same gradients twice.
    seeds = []
    for rank in range(3):
        torch.manual_seed(5)
        Processes(rank=rank, count=3).draw_apart(5)
        seeds.append(torch.rand(1).item())
    assert len(set(seeds)) == 3
    torch.manual_seed(5)
    assert seeds[0] == torch.rand(1).item()


def test_processes_with_other_rows(encoder, tmp_path):
    code = (
        "import sys; from tiny_runs import run; from tiny_tables import class_texts;"
        "from bertblocks.training import joined_processes\n"
        "with joined_processes() as processes:\n"
        "    texts, labels = class_texts(40, seed=processes.rank)\n"
        f"    run({str(encoder)!r}, texts, labels, processes=processes)\n"
    )
    port = free_port()
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=variables(rank, 2, port), stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1].decode() for process in started]
    assert all(process.returncode for process in started)
    assert sum("have not the same rows: 1 of 2 differ from process 0" in error for error in errors) == 1
