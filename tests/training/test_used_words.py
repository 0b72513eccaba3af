from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_runs import run, weights

from bertblocks.training import used_words
from bertblocks.training.optimizer import build_optimizer, decay_over
from tiny_tables import class_texts

WORDS = "encoder.embeddings.word.weight"
TABLE, OTHERS = class_texts(48), class_texts(16)


@pytest.fixture
def whole(monkeypatch):
    """Runs that train all rows of the word embedding."""
    return lambda: monkeypatch.setattr(used_words, "_LARGEST_SHARE", 0.0)


@pytest.mark.parametrize("optimizer", ["adamw", "google-adamw"])
@pytest.mark.parametrize("validation", [None, OTHERS], ids=["last epoch", "best epoch"])
def test_the_model_is_that_of_a_run_with_all_rows(tiny_encoder, whole, optimizer, validation):
    def trained():
        return run(
            tiny_encoder("cased"),
            *TABLE,
            validation=validation,
            optimizer=optimizer,
            weight_decay=0.5,
            epochs=4,
            patience=None,
        )

    shrunk = weights(trained())
    whole()
    expected = weights(trained())
    assert shrunk.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(shrunk[name], weight, rtol=1e-5, atol=1e-6, msg=name)


def test_unused_rows_only_decay(tiny_encoder):
    trained = run(tiny_encoder("cased"), *TABLE, weight_decay=0.5)
    before = run(tiny_encoder("cased"), *TABLE, weight_decay=0.5, trainable=False)
    used = np.unique(np.concatenate(trained.train_encoded.ids))
    unused = np.setdiff1d(np.arange(len(weights(trained)[WORDS])), used)
    assert len(unused) > len(used)
    ratio = weights(trained)[WORDS][unused] / weights(before)[WORDS][unused]
    assert float(ratio.max() - ratio.min()) < 1e-6
    assert 0.9 < float(ratio.mean()) < 0.9999


def test_a_run_trains_the_used_rows_alone(tiny_encoder, tmp_path, monkeypatch):
    shapes = []

    def watch(event):
        shapes.extend(path.stat().st_size for path in tmp_path.glob("*.safetensors"))

    run(tiny_encoder("cased"), *TABLE, validation=OTHERS, work=tmp_path, checkpoint_every_s=0, on_event=watch)
    small = max(shapes)
    shapes.clear()
    monkeypatch.setattr(used_words, "_LARGEST_SHARE", 0.0)
    run(tiny_encoder("cased"), *TABLE, validation=OTHERS, work=tmp_path, checkpoint_every_s=0, on_event=watch)
    # Weights and two averages of more than half of the rows.
    assert max(shapes) - small > 3 * 4 * 32 * 138


def test_decay_over_by_hand():
    layer = torch.nn.Linear(2, 2)
    optimizer = build_optimizer(
        torch.nn.Sequential(),
        layer,
        name="adamw",
        learning_rate=1.0,
        head_learning_rate=0.1,
        weight_decay=0.5,
    )
    # Of 4 steps half are warm-up: the rates are 1/2, 1, 1 and 1/2 of the peak.
    schedule = {"num_steps": 4, "warmup_fraction": 0.5}
    assert decay_over(optimizer, layer.weight, steps=0, **schedule) == 1.0
    assert decay_over(optimizer, layer.weight, steps=3, **schedule) == pytest.approx(0.975 * 0.95 * 0.95)
    assert decay_over(optimizer, layer.bias, steps=3, **schedule) == 1.0
    assert decay_over(optimizer, torch.nn.Parameter(torch.ones(2)), steps=3, **schedule) == 1.0
