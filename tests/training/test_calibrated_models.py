"""Temperatures of trained models: fitted on the held-out rows, stored, used, and the same after a kill."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_runs import run

from bertblocks import load
from bertblocks.data import open_table
from bertblocks.estimators import TextClassifier
from bertblocks.evaluation import calibrate
from bertblocks.inference import Predictor, predict_table, scores_from_logits
from bertblocks.training import StepDone, TableRun, TrainingSettings, train_table
from tiny import tiny_encoder_folder
from tiny_tables import class_texts, label_lists, numbers, write_csv

WAYS = pytest.mark.parametrize("trainable", [True, False], ids=["fine-tuned", "frozen"])
QUICK = {"learning_rate": 5e-3, "epochs": 8, "patience": 99}


@pytest.fixture(scope="module")
def tiny_encoder(tmp_path_factory):
    """With one head, which learns texts by heart in few steps."""
    folder = tiny_encoder_folder(tmp_path_factory.mktemp("encoders") / "tiny", heads=1)
    return lambda kind: folder


def noisy(num_rows, seed=1):
    """Every fifth row has another label than its words say: a model that learnt the words is too sure."""
    texts, labels = class_texts(num_rows, seed=seed)
    turned = {"good": "bad", "bad": "good"}
    return texts, [turned[label] if i % 5 == 0 else label for i, label in enumerate(labels)]


def uncalibrated(trained, texts):
    """Logits of a trained model, by a task without temperatures."""
    from bertblocks.assembly import run_packed

    return run_packed(trained.model.module, trained.model.encode(texts))


@WAYS
def test_the_temperature_is_that_of_the_held_out_rows(tiny_encoder, trainable):
    texts, labels = noisy(60)
    trained = run(
        tiny_encoder("cased"), *class_texts(96), validation=(texts, labels), trainable=trainable, **QUICK
    )
    task = trained.model.task
    # The fine-tuned model has learnt the words by heart; the frozen one is unsure of everything.
    assert task.temperature > 1.2 if trainable else task.temperature < 0.8
    targets = np.array([task.labels.index(label) for label in labels])
    again = calibrate(task, targets=targets, logits=uncalibrated(trained, texts))
    assert again.temperature == pytest.approx(task.temperature, abs=2e-3)
    found = Predictor(trained.model, precision="float32", device="cpu").predict(texts)
    np.testing.assert_allclose(
        found.scores, scores_from_logits(task, uncalibrated(trained, texts)), atol=1e-5
    )


@WAYS
def test_several_labels_are_calibrated_before_their_thresholds_are_chosen(tiny_encoder, trainable):
    texts, lists = label_lists(80, seed=1)
    lists = [row if i % 5 else ["CAT", "DOG"] for i, row in enumerate(lists)]
    trained = run(
        tiny_encoder("cased"), *label_lists(96), validation=(texts, lists), trainable=trainable, **QUICK
    )
    task = trained.model.task
    assert len(task.temperatures) == 2 and len(task.thresholds) == 2
    # Of the probabilities that the model gives, some lie on each side of every threshold.
    scores = Predictor(trained.model, precision="float32", device="cpu").predict(texts).scores
    for label, threshold in enumerate(task.thresholds):
        assert scores[:, label].min() < threshold <= scores[:, label].max()


def test_without_held_out_rows_or_with_numbers_there_is_no_temperature(tiny_encoder):
    assert run(tiny_encoder("cased"), *class_texts(40), epochs=1).model.task.temperature == 1.0
    few = class_texts(8, seed=1)
    assert (
        run(tiny_encoder("cased"), *class_texts(40), validation=few, epochs=1).model.task.temperature == 1.0
    )
    data = numbers(40)
    trained = run(tiny_encoder("cased"), *data, kind="regression", validation=data, epochs=1)
    assert trained.model.task.temperature == 1.0


@pytest.fixture
def run_of(tiny_encoder, tmp_path):
    def make(output, columns, **changed):
        table = write_csv(tmp_path / "table.csv", columns)
        options = {"encoder": str(tiny_encoder("cased")), "baseline": False, "validation": 0.4, **changed}
        return TableRun(
            table=str(table),
            text="text",
            target="label",
            output=str(tmp_path / output),
            training=TrainingSettings(
                precision="float32",
                device="cpu",
                batch_tokens=256,
                epochs=3,
                learning_rate=5e-3,
                checkpoint_every_s=0,
            ),
            **options,
        )

    return make


class StoppedError(Exception):
    """Stands for a kill."""


def stop_at(step):
    def listen(event):
        if isinstance(event, StepDone) and event.step == step:
            raise StoppedError

    return listen


@WAYS
@pytest.mark.parametrize("data", [noisy, label_lists], ids=["classes", "several labels"])
def test_a_resumed_run_has_the_same_temperatures(tiny_encoder, tmp_path, trainable, data):
    options = {"validation": data(60, seed=1), "trainable": trainable, **QUICK, "epochs": 3}
    whole = run(tiny_encoder("cased"), *data(60, seed=0), **options).model.task
    options |= {"work": tmp_path, "checkpoint_every_s": 0}
    with pytest.raises(StoppedError):
        run(tiny_encoder("cased"), *data(60, seed=0), **options, on_event=stop_at(2))
    assert run(tiny_encoder("cased"), *data(60, seed=0), **options, resume=True).model.task == whole
    assert whole.temperatures or whole.temperature != 1


def test_everything_that_gives_probabilities_gives_calibrated_ones(run_of, tmp_path):
    texts, labels = noisy(100)
    said = []
    finished = train_table(run_of("model", {"text": texts, "label": labels}), say=said.append)
    assert any(sentence.startswith("Probabilities are calibrated on the held-out rows") for sentence in said)
    task = finished.trained.model.task
    assert task.temperature != 1
    manifest = json.loads((tmp_path / "model" / "bertblocks.json").read_text(encoding="utf-8"))
    assert manifest["task"]["temperature"] == task.temperature
    expected = scores_from_logits(task, uncalibrated(finished.trained, texts[:20]))
    model = load(tmp_path / "model", precision="float32", device="cpu")
    np.testing.assert_allclose(model.predict_proba(texts[:20]), expected, atol=1e-5)
    predictor = Predictor.load(tmp_path / "model", precision="float32", device="cpu")
    np.testing.assert_allclose(predictor.predict(texts[:20]).scores, expected, atol=1e-5)
    table = write_csv(tmp_path / "new.csv", {"text": texts[:20]})
    predict_table(predictor, open_table(str(table)), tmp_path / "answers.jsonl")
    rows = map(json.loads, (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines())
    np.testing.assert_allclose([row["probability:good"] for row in rows], expected[:, 1], atol=1e-5)
    # Few rows have an error of any size; that it is reckoned with and without the temperature can be seen.
    calibration = finished.evaluation.calibration
    assert calibration.rows == "same" and calibration.error_before != calibration.error_after


def test_estimators_are_calibrated_by_the_rows_that_they_hold_out(tiny_encoder):
    texts, labels = noisy(200)
    options = {"encoder": tiny_encoder("cased"), "epochs": 4, "learning_rate": 5e-3, "precision": "float32"}
    assert TextClassifier(validation_fraction=0.3, **options).fit(texts, labels).model_.task.temperature != 1
    assert TextClassifier(validation_fraction=0, **options).fit(texts, labels).model_.task.temperature == 1
