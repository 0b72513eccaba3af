from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_runs import run
from torch import nn

from bertblocks.assembly import load_model
from bertblocks.encoder import DenseLayer
from bertblocks.evaluation import uncalibrated
from bertblocks.inference import Predictor
from bertblocks.training.sources import Standardizer
from tiny_tables import CLUES, class_texts


def vectors(num_rows: int = 50, width: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-2, 1, width)
    return torch.randn(num_rows, width, generator=generator) * scale + torch.linspace(-3, 3, width)


def heads() -> dict[str, nn.Sequential]:
    torch.manual_seed(1)
    return {
        "one layer": nn.Sequential(nn.Dropout(0.1), DenseLayer(8, 3)),
        "pooler": nn.Sequential(DenseLayer(8, 8, "tanh"), nn.Dropout(0.1), DenseLayer(8, 3)),
    }


def test_vectors_get_mean_0_and_deviation_1():
    found = Standardizer(vectors()).transform(vectors())
    torch.testing.assert_close(found.mean(0), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["one layer", "pooler"])
def test_folding_in_and_out_changes_nothing(name):
    head = heads()[name].eval()
    plain = vectors()
    standardizer = Standardizer(plain)
    expected, before = head(plain), copy.deepcopy(head)
    standardizer.move_into(head)
    weights = zip(head.parameters(), before.parameters(), strict=True)
    assert any(not torch.equal(new, old) for new, old in weights)
    torch.testing.assert_close(head(standardizer.transform(plain)), expected, atol=1e-5, rtol=1e-5)
    standardizer.move_out_of(head)
    torch.testing.assert_close(head(plain), expected, atol=1e-5, rtol=1e-5)
    for weight, old in zip(head.parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(weight, old, atol=1e-5, rtol=1e-5)


def test_a_column_that_never_varies_does_no_harm():
    plain = vectors()
    plain[:, 3] = 5.0
    head = heads()["one layer"].eval()
    expected = head(plain)
    standardizer = Standardizer(plain)
    standardizer.move_into(head)
    assert torch.isfinite(standardizer.transform(plain)).all()
    torch.testing.assert_close(head(standardizer.transform(plain)), expected, atol=1e-5, rtol=1e-5)
    standardizer.move_out_of(head)
    torch.testing.assert_close(head(plain), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
def test_a_head_trained_on_cached_vectors_answers_alike_through_the_whole_saved_model(
    tiny_encoder, tmp_path, pooling
):
    texts, labels = class_texts(60, tuple(CLUES))
    told = []
    trained = run(
        tiny_encoder("cased"),
        texts,
        labels,
        pooling=pooling,
        trainable=False,
        validation=(texts, labels),
        epochs=5,
        learning_rate=1e-2,
        on_event=lambda event: told.append(getattr(event, "metrics", None)),
    )
    best = max(
        (metrics for metrics in told if metrics), key=lambda metrics: (metrics["accuracy"], -metrics["loss"])
    )
    trained.model.save(tmp_path / "model")
    found = Predictor(load_model(tmp_path / "model"), precision="float32", device="cpu").predict(texts)
    positions = [found.task.labels.index(label) for label in labels]
    scores = uncalibrated(found.task, found.scores.astype(np.float64))
    # That loss was of standardised vectors, before calibration; here the whole saved model was asked.
    loss = -np.log(scores[np.arange(len(texts)), positions]).mean()
    assert loss == pytest.approx(best["loss"], abs=1e-5)
    encoder = trained.model.module.encoder.state_dict()
    loaded = load_model(tmp_path / "model").module.encoder.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in encoder.items())
