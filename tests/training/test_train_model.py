from __future__ import annotations

import json
import logging
import math
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_runs import graph_of, labeled, run, same_weights, weights

from bertblocks.data import infer_task
from bertblocks.errors import ConfigError, DataError
from bertblocks.evaluation import uncalibrated
from bertblocks.inference import Predictor
from bertblocks.training import EpochDone, Estimate, StepDone, TrainingSettings, VectorsDone, train_model
from tiny_tables import CLUES, class_texts, label_lists, numbers

FINE_TUNED = {"trainable": True, "epochs": 20, "learning_rate": 5e-3}
FROZEN = {"trainable": False, "epochs": 120, "learning_rate": 2e-2}


def answers(trained, texts):
    return Predictor(trained.model, precision="float32", device="cpu").predict(texts).answers


@pytest.mark.parametrize("how", [FINE_TUNED, FROZEN], ids=["fine-tuned", "frozen"])
@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
class TestLearnsEveryTask:
    def right(self, tiny_encoder, data, pooling, how, **options):
        texts, targets = data
        trained = run(
            tiny_encoder("cased"),
            texts,
            targets,
            pooling=pooling,
            validation=data,
            patience=999,
            **how,
            **options,
        )
        pairs = zip(answers(trained, texts), targets, strict=True)
        return np.mean([set(a) == set(t) if isinstance(t, list) else a == t for a, t in pairs])

    def test_classification(self, tiny_encoder, pooling, how):
        right = self.right(tiny_encoder, class_texts(96, tuple(CLUES)), pooling, how)
        assert right == 1.0 if how is FINE_TUNED else right > 0.95

    def test_binary(self, tiny_encoder, pooling, how):
        texts, labels = class_texts(96)
        data = texts, [{"good": "yes", "bad": "no"}[label] for label in labels]
        right = self.right(tiny_encoder, data, pooling, how, kind="binary")
        assert right == 1.0 if how is FINE_TUNED else right > 0.95

    def test_multilabel(self, tiny_encoder, pooling, how):
        right = self.right(tiny_encoder, label_lists(96), pooling, how)
        assert right == 1.0 if how is FINE_TUNED else right > 0.9

    def test_regression(self, tiny_encoder, pooling, how):
        texts, values = numbers(96)
        trained = run(
            tiny_encoder("cased"),
            texts,
            values,
            kind="regression",
            pooling=pooling,
            validation=(texts, values),
            patience=999,
            **how,
        )
        found = answers(trained, texts)
        # In the target's own unit, which is far from 0 and 1.
        assert np.abs(np.array(found) - values).max() < 9.0
        assert np.corrcoef(found, values)[0, 1] > 0.96


def test_pairs_are_told_apart_by_their_second_text(tiny_encoder):
    first = ["the film was"] * 40
    second, labels = class_texts(40)
    task = infer_task(labels, column="target")
    rows = labeled(first, labels, task, second)
    graph = graph_of(tiny_encoder("cased"), task, text_pair="second")
    settings = TrainingSettings(epochs=25, learning_rate=5e-3, precision="float32", batch_tokens=256)
    trained = train_model(graph, task, rows, rows, settings)
    found = Predictor(trained.model, precision="float32", device="cpu").predict(first, second)
    assert found.answers == labels


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("optimizer", ["adamw", "google-adamw"])
def test_the_same_seed_gives_the_same_weights(tiny_encoder, trainable, optimizer):
    data = class_texts(40)
    options = {"trainable": trainable, "optimizer": optimizer, "validation": data}
    first = run(tiny_encoder("cased"), *data, seed=3, **options)
    torch.manual_seed(12345)  # The caller's state has no say.
    second = run(tiny_encoder("cased"), *data, seed=3, **options)
    other = run(tiny_encoder("cased"), *data, seed=4, **options)
    assert same_weights(first, second)
    assert not same_weights(first, other)


@pytest.mark.parametrize("trainable", [True, False])
def test_the_callers_random_state_is_left_as_it_was(tiny_encoder, trainable):
    torch.manual_seed(7)
    before, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()
    run(tiny_encoder("cased"), *class_texts(20), trainable=trainable, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], drawn)


def test_frozen_weights_stay_and_the_others_move(tiny_encoder):
    data = class_texts(40)
    untouched = weights(run(tiny_encoder("cased"), *data, trainable=False, epochs=1, learning_rate=1e-12))
    frozen = weights(run(tiny_encoder("cased"), *data, trainable=False))
    tuned = weights(run(tiny_encoder("cased"), *data, trainable=True))
    for name in frozen:
        is_encoder = name.startswith("encoder.")
        assert torch.equal(frozen[name], untouched[name]) == is_encoder, name
        assert not torch.equal(tuned[name], untouched[name]), name


def test_the_model_comes_back_in_evaluation_mode(tiny_encoder):
    trained = run(tiny_encoder("cased"), *class_texts(20), epochs=1)
    assert not any(module.training for module in trained.model.module.modules())
    assert {weight.dtype for weight in trained.model.module.parameters()} == {torch.float32}


def test_a_step_in_parts_is_the_step_as_a_whole(tiny_encoder, tmp_path):
    folder = shutil.copytree(tiny_encoder("cased"), tmp_path / "no dropout")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    texts, labels = class_texts(32)
    task = infer_task(labels, column="target")
    steps = []
    for batch_tokens in (10_000, 40):
        settings = TrainingSettings(
            epochs=2, batch_tokens=batch_tokens, min_batch_texts=32, precision="float32"
        )
        train_model(
            graph_of(folder, task, dropout=0.0),
            task,
            labeled(texts, labels, task),
            None,
            settings,
            on_event=lambda event: steps.append(event) if isinstance(event, StepDone) else None,
        )
    whole, split = steps[:2], steps[2:]
    assert len(split) == 2
    for one, other in zip(whole, split, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-4)
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-3)
        assert (other.num_texts, other.num_tokens) == (one.num_texts, one.num_tokens) and one.num_texts == 32


class TestTheBestEpoch:
    def opposite(self):
        """Validation rows that say the contrary: every epoch of learning makes them worse."""
        texts, labels = class_texts(40, seed=1)
        return texts, [{"good": "bad", "bad": "good"}[label] for label in labels]

    @pytest.mark.parametrize("trainable", [True, False])
    @pytest.mark.parametrize("metric", ["loss", "log_loss"])
    def test_is_kept_and_training_stops_early(self, tiny_encoder, trainable, metric):
        options = {
            "trainable": trainable,
            "learning_rate": 5e-3,
            "metric": metric,
            "epochs": 9,
            "patience": 2,
        }
        told = []
        trained = run(
            tiny_encoder("cased"),
            *class_texts(96),
            validation=self.opposite(),
            on_event=told.append,
            **options,
        )
        epochs = [event for event in told if isinstance(event, EpochDone)]
        losses = [event.metrics[metric] for event in epochs]
        best = int(np.argmin(losses))
        assert losses[best] < losses[-1]
        assert len(epochs) == best + 3 < 9
        assert trained.outcome == "stopped early"
        assert [event.best for event in epochs][best:] == [True, False, False]
        found = Predictor(trained.model, precision="float32", device="cpu").predict(self.opposite()[0])
        positions = [found.task.labels.index(label) for label in self.opposite()[1]]
        # Epochs are told apart before probabilities are calibrated.
        scores = uncalibrated(found.task, found.scores.astype(np.float64))
        loss = -np.log(scores[np.arange(len(positions)), positions]).mean()
        assert loss == pytest.approx(losses[best], abs=1e-5)

    def test_without_validation_the_last_epoch_is_kept(self, tiny_encoder):
        data = class_texts(40)
        told = []
        options = {"trainable": False, "learning_rate": 1e-3, "metric": "loss", "on_event": told.append}
        plain = run(tiny_encoder("cased"), *data, **{**options, "metric": None})
        assert not any(isinstance(event, EpochDone) for event in told)
        assert plain.outcome == "all epochs done"
        # With rows that get better with every epoch the last one is the best, and the weights are the same.
        watched = run(tiny_encoder("cased"), *data, validation=data, **options)
        assert [event.best for event in told if isinstance(event, EpochDone)] == [True, True, True]
        assert same_weights(plain, watched)

    def test_an_undefined_metric_does_not_stop_training(self, tiny_encoder):
        texts, values = numbers(30)
        told = []
        run(
            tiny_encoder("cased"),
            texts,
            values,
            kind="regression",
            validation=(texts[:1], values[:1]),
            on_event=told.append,
        )
        epochs = [event for event in told if isinstance(event, EpochDone)]
        assert len(epochs) == 3 and all(event.metrics["pearson"] is None for event in epochs)


class TestEvents:
    def test_of_fine_tuning(self, tiny_encoder):
        data = class_texts(60)
        told = []
        run(tiny_encoder("cased"), *data, validation=data, epochs=2, batch_tokens=128, on_event=told.append)
        steps = [event for event in told if isinstance(event, StepDone)]
        epochs = [event for event in told if isinstance(event, EpochDone)]
        assert [event.step for event in steps] == list(range(1, len(steps) + 1))
        assert {event.num_steps for event in steps} == {len(steps)}
        assert sum(event.num_texts for event in steps) == 2 * 60
        followed = [a for a, b in pairwise(steps) if a.epoch == b.epoch]
        assert followed and all(event.num_texts >= 16 for event in followed)
        assert [event.epoch for event in epochs] == [1, 2]
        last = [max(event.step for event in steps if event.epoch == epoch) for epoch in (1, 2)]
        assert [event.step for event in epochs] == last
        assert all(math.isfinite(event.loss) and event.grad_norm > 0 and event.seconds > 0 for event in steps)
        assert sum(isinstance(event, Estimate) for event in told) == 1
        assert set(epochs[0].metrics) >= {"loss", "accuracy", "macro_f1"}
        rates = [event.learning_rate for event in steps]
        assert 0 < rates[0] <= max(rates) == pytest.approx(3e-3) and 0 < rates[-1] < max(rates)

    def test_of_a_frozen_encoder(self, tiny_encoder):
        data = class_texts(60)
        told = []
        run(tiny_encoder("cased"), *data, validation=data, trainable=False, epochs=2, on_event=told.append)
        vectors = [event for event in told if isinstance(event, VectorsDone)]
        assert vectors[-1].done == vectors[-1].total == 120
        assert [event.done for event in vectors] == sorted({event.done for event in vectors})
        steps = [event for event in told if isinstance(event, StepDone)]
        assert len(steps) == 2 and {event.num_tokens for event in steps} == {0}


class TestRefusesBeforeAnyWork:
    def refused(self, tiny_encoder, message, data, **options):
        told = []
        with pytest.raises(ConfigError, match=message):
            run(tiny_encoder("cased"), *data, on_event=told.append, **options)
        assert told == []

    @pytest.mark.parametrize("trainable", [True, False])
    def test_an_unknown_metric(self, tiny_encoder, trainable):
        data = class_texts(20)
        for metric, message in (
            ("pearson", "metric is 'pearson', but a classification task has loss, accuracy"),
            ("acuracy", r"metric is 'acuracy', but must be one of loss, .*did you mean 'accuracy'"),
        ):
            self.refused(tiny_encoder, message, data, trainable=trainable, validation=data, metric=metric)

    @pytest.mark.parametrize("trainable", [True, False])
    def test_class_weights_of_a_regression(self, tiny_encoder, trainable):
        message = "class_weight has no effect on a regression"
        options = {"trainable": trainable, "kind": "regression", "class_weight": "auto"}
        self.refused(tiny_encoder, message, numbers(20), **options)

    def test_an_unknown_device(self, tiny_encoder):
        self.refused(tiny_encoder, "device is 'tpu9'", class_texts(20), device="tpu9")


def test_a_metric_without_validation_rows_is_warned_of(tiny_encoder, caplog):
    with caplog.at_level(logging.WARNING):
        run(tiny_encoder("cased"), *class_texts(20), epochs=1, metric="accuracy", patience=3)
    assert "no rows for validation, so metric and patience has no effect" in caplog.text


@pytest.mark.parametrize("validated", [True, False])
def test_a_diverging_run_names_the_step_and_the_mend(tiny_encoder, validated):
    data = class_texts(40)
    with pytest.raises(ConfigError, match=r"after step \d+ of \d+.*Lower the learning rate.*1e\+30"):
        run(
            tiny_encoder("cased"),
            *data,
            validation=data if validated else None,
            learning_rate=1e30,
            epochs=30,
            warmup_fraction=0.0,
        )


def test_an_encoder_that_overflows_is_told_from_divergence(tmp_path):
    from safetensors.torch import load_file, save_file

    from tiny import tiny_encoder_folder

    folder = tiny_encoder_folder(tmp_path / "broken")
    tensors = load_file(folder / "model.safetensors")
    for name in ("query", "key"):
        tensors[f"encoder.layer.0.attention.self.{name}.weight"] *= 1e30
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigError, match="Before the first step has changed a weight, the loss is nan"):
        run(folder, *class_texts(20))


def test_class_weights_lift_the_rare_class(tiny_encoder):
    texts, labels = class_texts(80)
    # The same neutral text under both labels: only their frequency can decide.
    texts, labels = ["the film was"] * 80, ["bad"] * 60 + ["good"] * 20
    shares = {}
    for weight in (None, "auto"):
        trained = run(
            tiny_encoder("cased"),
            texts,
            labels,
            trainable=False,
            epochs=60,
            learning_rate=1e-2,
            class_weight=weight,
        )
        found = Predictor(trained.model, precision="float32", device="cpu").predict(["the film was"])
        shares[weight] = found[0].probabilities["good"]
    assert shares[None] == pytest.approx(0.25, abs=0.05)
    assert shares["auto"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("class_weight", [None, "auto"])
def test_equal_row_weights_change_no_bit(tiny_encoder, trainable, class_weight):
    data = class_texts(33)
    options = {"trainable": trainable, "class_weight": class_weight, "validation": data, "epochs": 2}
    plain = run(tiny_encoder("cased"), *data, **options)
    assert same_weights(plain, run(tiny_encoder("cased"), *data, row_weights=[1] * 33, **options))
    assert same_weights(plain, run(tiny_encoder("cased"), *data, row_weights=[0.7] * 33, **options))
    uneven = [1, 2, 3] * 11
    once = run(tiny_encoder("cased"), *data, row_weights=uneven, **options)
    twice = run(tiny_encoder("cased"), *data, row_weights=[2 * weight for weight in uneven], **options)
    assert same_weights(once, twice) and not same_weights(once, plain)


@pytest.mark.parametrize("trainable", [True, False])
def test_rows_of_weight_zero_teach_nothing(tiny_encoder, trainable):
    texts, labels = class_texts(64)
    wrong = [{"good": "bad", "bad": "good"}[label] for label in labels]
    how = FINE_TUNED if trainable else FROZEN
    trained = run(tiny_encoder("cased"), texts * 2, labels + wrong, row_weights=[1] * 64 + [0] * 64, **how)
    assert np.mean([a == b for a, b in zip(answers(trained, texts), labels, strict=True)]) > 0.95


def test_weights_of_no_row(tiny_encoder):
    with pytest.raises(DataError, match="all 20 weights are 0"):
        run(tiny_encoder("cased"), *class_texts(20), row_weights=[0] * 20)


def test_a_weight_for_each_class(tiny_encoder):
    data = class_texts(40)
    options = {"epochs": 2, "validation": data}
    even = run(tiny_encoder("cased"), *data, class_weight={"good": 3, "bad": 3}, **options)
    assert same_weights(even, run(tiny_encoder("cased"), *data, **options))
    uneven = run(tiny_encoder("cased"), *data, class_weight={"good": 100, "bad": 1}, **options)
    assert answers(uneven, data[0]).count("good") > answers(even, data[0]).count("good") or (
        set(answers(uneven, data[0])) == {"good"}
    )
    with pytest.raises(ConfigError, match="unknown labels: 'best'; labels without a weight: 'bad'"):
        run(tiny_encoder("cased"), *data, class_weight={"good": 1, "best": 1})


def test_where_the_metric_is_undefined_the_loss_decides(tiny_encoder):
    told = []
    texts, values = numbers(40)
    same = (texts[:8], [2.0] * 8)  # of one value: no correlation
    trained = run(
        tiny_encoder("cased"),
        texts,
        values,
        kind="regression",
        validation=same,
        epochs=30,
        trainable=False,
        patience=3,
        on_event=told.append,
    )
    epochs = [event for event in told if isinstance(event, EpochDone)]
    assert all(event.metrics["pearson"] is None for event in epochs)
    best = [event.epoch for event in epochs if event.best][-1]
    assert best == min(epochs, key=lambda event: event.metrics["loss"]).epoch
    assert trained.outcome == "stopped early" or best > len(epochs) - 3
