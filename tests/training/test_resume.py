from __future__ import annotations

import json

import pytest
import torch
from tiny_runs import run, same_weights

from bertblocks.errors import CheckpointError
from bertblocks.training import EpochDone, StepDone, VectorsDone
from bertblocks.training.checkpoint import CHECKPOINT
from bertblocks.training.logs import LOG_FILE, RunLog
from tiny_tables import class_texts

FINE_TUNED = {"trainable": True, "epochs": 3, "batch_tokens": 128}
FROZEN = {"trainable": False, "epochs": 6}
MODES = pytest.mark.parametrize("mode", [FINE_TUNED, FROZEN], ids=["fine-tuned", "frozen"])


class StoppedError(Exception):
    """Stands for a kill, at a moment that the test chooses."""


def stop_at(stops):
    """A listener that stops the run at the first event for which stops(event) is true."""

    def listen(event):
        if stops(event):
            raise StoppedError

    return listen


def options_of(mode):
    train = class_texts(80, seed=0)
    # Contrary validation rows: the best epoch is an early one, so that its weights must outlast the kill.
    texts, labels = class_texts(20, seed=1)
    validation = texts, [{"good": "bad", "bad": "good"}[label] for label in labels]
    return train, {"validation": validation, "metric": "loss", "patience": 99, "learning_rate": 5e-3, **mode}


@MODES
@pytest.mark.parametrize("optimizer", ["adamw", "google-adamw"])
def test_a_run_stopped_anywhere_ends_with_the_same_weights(tiny_encoder, tmp_path, mode, optimizer):
    train, options = options_of({**mode, "optimizer": optimizer})
    told = []
    whole = run(tiny_encoder("cased"), *train, **options, on_event=told.append)
    steps = [event.step for event in told if isinstance(event, StepDone)]
    best = [event.epoch for event in told if isinstance(event, EpochDone) and event.best][-1]
    assert best < options["epochs"]
    moments = [
        lambda event: isinstance(event, VectorsDone | StepDone),
        lambda event: isinstance(event, StepDone) and event.step == 2,
        lambda event: isinstance(event, EpochDone) and event.epoch == 1,
        lambda event: isinstance(event, StepDone) and event.step == steps[-1] - 1,
        lambda event: isinstance(event, StepDone) and event.step == steps[-1],
        lambda event: isinstance(event, EpochDone) and event.epoch == options["epochs"],
    ]
    work = tmp_path / "work"
    work.mkdir()
    for moment in moments:
        with pytest.raises(StoppedError):
            run(
                tiny_encoder("cased"),
                *train,
                **options,
                work=work,
                resume=True,
                checkpoint_every_s=0,
                on_event=stop_at(moment),
            )
    repeated = []
    resumed = run(
        tiny_encoder("cased"),
        *train,
        **options,
        work=work,
        resume=True,
        checkpoint_every_s=0,
        on_event=repeated.append,
    )
    assert same_weights(whole, resumed)
    # It truly went on, and did not begin anew.
    assert len([event for event in repeated if isinstance(event, StepDone)]) <= 1


@MODES
def test_without_resume_a_work_folder_is_not_gone_on_from(tiny_encoder, tmp_path, mode):
    train, options = options_of(mode)
    late = stop_at(lambda event: isinstance(event, StepDone) and event.step == 3)
    with pytest.raises(StoppedError):
        run(tiny_encoder("cased"), *train, **options, work=tmp_path, checkpoint_every_s=0, on_event=late)
    told = []
    run(tiny_encoder("cased"), *train, **options, work=tmp_path, checkpoint_every_s=0, on_event=told.append)
    assert next(event.step for event in told if isinstance(event, StepDone)) == 1


def test_checkpoints_are_written_no_more_often_than_asked(tiny_encoder, tmp_path):
    train, options = options_of(FINE_TUNED)
    run(tiny_encoder("cased"), *train, **options, work=tmp_path, checkpoint_every_s=3600)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_random_state_of_dropout_is_part_of_a_checkpoint(tiny_encoder, tmp_path):
    train, options = options_of(FINE_TUNED)
    stop = stop_at(lambda event: isinstance(event, StepDone) and event.step == 4)
    with pytest.raises(StoppedError):
        run(tiny_encoder("cased"), *train, **options, work=tmp_path, checkpoint_every_s=0, on_event=stop)
    from safetensors import safe_open

    with safe_open(tmp_path / CHECKPOINT, framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
        state = file.get_tensor("random.cpu")
    assert progress["step"] == 3 and progress["epoch"] == 0
    assert not torch.equal(state, torch.Generator().manual_seed(0).get_state())


@pytest.mark.parametrize("damage", ["cut", "foreign"])
def test_a_checkpoint_that_cannot_be_read_is_named(tiny_encoder, tmp_path, damage):
    train, options = options_of(FINE_TUNED)
    stop = stop_at(lambda event: isinstance(event, StepDone) and event.step == 2)
    with pytest.raises(StoppedError):
        run(tiny_encoder("cased"), *train, **options, work=tmp_path, checkpoint_every_s=0, on_event=stop)
    path = tmp_path / CHECKPOINT
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    resumed = {**options, **({"trainable": False} if damage == "foreign" else {})}
    message = "cannot be read.*begin anew" if damage == "cut" else "belongs to another model"
    with pytest.raises(CheckpointError, match=message):
        run(tiny_encoder("cased"), *train, **resumed, work=tmp_path, resume=True)


class TestLog:
    def step(self, number, loss=0.5):
        return StepDone(
            step=number,
            num_steps=9,
            epoch=1,
            loss=loss,
            learning_rate=0.1,
            grad_norm=1.0,
            num_texts=2,
            num_tokens=10,
            seconds=0.1,
        )

    def epoch(self, number, step):
        return EpochDone(epoch=number, step=step, metrics={"loss": 1.0, "accuracy": None}, best=True)

    def write(self, folder, events):
        with RunLog(folder, tensorboard=False) as log:
            for event in events:
                log(event)

    def lines(self, folder):
        text = (folder / LOG_FILE).read_text(encoding="utf-8")
        return [(line["event"], line["step"]) for line in map(json.loads, text.splitlines())]

    def test_repeated_steps_are_written_once(self, tmp_path):
        self.write(tmp_path, [self.step(1), self.step(2), self.epoch(1, 2), self.step(3), self.step(4)])
        self.write(tmp_path, [self.step(3), self.step(4), self.step(5)])
        expected = [("step", 1), ("step", 2), ("epoch", 2), ("step", 3), ("step", 4), ("step", 5)]
        assert self.lines(tmp_path) == expected

    def test_an_epoch_that_is_repeated_is_written_once(self, tmp_path):
        self.write(tmp_path, [self.step(1), self.step(2), self.epoch(1, 2), self.step(3)])
        self.write(tmp_path, [self.epoch(1, 2), self.step(3)])
        assert self.lines(tmp_path) == [("step", 1), ("step", 2), ("epoch", 2), ("step", 3)]

    def test_a_line_that_a_kill_cut_short_is_dropped(self, tmp_path):
        self.write(tmp_path, [self.step(1), self.step(2)])
        path = tmp_path / LOG_FILE
        path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
        self.write(tmp_path, [self.step(2), self.step(3)])
        assert self.lines(tmp_path) == [("step", 1), ("step", 2), ("step", 3)]

    def test_a_run_from_the_start_forgets_the_earlier_one(self, tmp_path):
        self.write(tmp_path, [self.step(1), self.step(2), self.epoch(1, 2)])
        self.write(tmp_path, [self.step(1)])
        assert self.lines(tmp_path) == [("step", 1)]

    def test_other_events_are_not_written(self, tmp_path):
        self.write(tmp_path, [VectorsDone(done=1, total=2)])
        assert not (tmp_path / LOG_FILE).exists()
