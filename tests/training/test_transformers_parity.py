"""The same weights, rows and steps through our loop and through transformers' model, loss and schedule."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
import torch
import transformers
from tiny_runs import graph_of, labeled, weights

from bertblocks.assembly import assemble
from bertblocks.data import infer_task
from bertblocks.training import StepDone, TrainingSettings, train_model
from bertblocks.training.sources import text_steps, token_lengths
from tiny_tables import CLUES, class_texts, label_lists, numbers

TABLES = {
    "classification": class_texts(48, tuple(CLUES)),
    "multilabel": label_lists(48),
    "regression": numbers(48),
}
SETTINGS = TrainingSettings(
    epochs=4,
    batch_tokens=96,
    min_batch_texts=4,
    learning_rate=1e-3,
    head_learning_rate=1e-3,
    warmup_fraction=0.25,
    max_grad_norm=0.4,
    weight_decay=0.05,
    precision="float32",
    device="cpu",
    seed=5,
)


@pytest.fixture
def without_dropout(tiny_encoder, tmp_path):
    """The reference draws other dropout masks, so there is none."""
    folder = shutil.copytree(tiny_encoder("cased"), tmp_path / "no dropout")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def reference_model(folder, kind):
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    assert type(model) is transformers.BertForSequenceClassification
    model.config.problem_type = {
        "classification": "single_label_classification",
        "multilabel": "multi_label_classification",
        "regression": "regression",
    }[kind]
    return model.train()


def reference_optimizer(model):
    """As the Trainer makes it: no decay on biases and norms."""
    plain = [name.endswith("bias") or "LayerNorm" in name for name, _ in model.named_parameters()]
    groups = [
        {
            "params": [
                weight for weight, is_plain in zip(model.parameters(), plain, strict=True) if is_plain
            ],
            "weight_decay": 0.0,
        },
        {
            "params": [
                weight for weight, is_plain in zip(model.parameters(), plain, strict=True) if not is_plain
            ],
            "weight_decay": SETTINGS.weight_decay,
        },
    ]
    return torch.optim.AdamW(groups, lr=SETTINGS.learning_rate, eps=1e-6)


def reference_rate(step, num_steps):
    """The Trainer's linear schedule, but for its first step at a rate of 0: ours is one step up the ramp."""
    warmup = math.ceil(num_steps * SETTINGS.warmup_fraction)
    factor = (step + 1) / warmup if step < warmup else (num_steps - step) / (num_steps - warmup)
    return SETTINGS.learning_rate * factor


def reference_steps(model, encoded, targets, steps):
    """Train on padded batches; the losses and gradient norms."""
    optimizer = reference_optimizer(model)
    losses, norms = [], []
    for step, rows in enumerate(steps):
        longest = max(len(encoded.ids[row]) for row in rows)
        ids = torch.zeros((len(rows), longest), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(encoded.ids[row])] = torch.from_numpy(encoded.ids[row].astype(np.int64))
            mask[place, : len(encoded.ids[row])] = 1
        loss = model(input_ids=ids, attention_mask=mask, labels=targets[rows]).loss
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS.max_grad_norm).item())
        for group in optimizer.param_groups:
            group["lr"] = reference_rate(step, len(steps))
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


@pytest.mark.parametrize("kind", TABLES)
def test_losses_norms_and_weights_equal_the_reference(without_dropout, tmp_path, kind):
    texts, raw = TABLES[kind]
    task = infer_task(raw, column="target", kind=kind)
    graph = graph_of(without_dropout, task, dropout=0.0)
    # The weights that train_model will begin with: new layers are drawn from the seed.
    with torch.random.fork_rng():
        torch.manual_seed(SETTINGS.seed)
        model = assemble(graph, task)
    model.save(tmp_path / "begin")
    rows = labeled(texts, raw, task)
    encoded = model.encode(texts)
    steps = [
        step
        for epoch in range(SETTINGS.epochs)
        for step in text_steps(token_lengths(encoded), SETTINGS, epoch)
    ]
    reference = reference_model(tmp_path / "begin", kind)
    expected, expected_norms = reference_steps(reference, encoded, torch.from_numpy(rows.targets), steps)

    told = []
    trained = train_model(graph, task, rows, None, SETTINGS, on_event=told.append)
    done = [event for event in told if isinstance(event, StepDone)]
    assert len(done) == len(steps) >= 10
    np.testing.assert_allclose([event.loss for event in done], expected, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose([event.grad_norm for event in done], expected_norms, rtol=1e-3)
    assert max(expected_norms) > SETTINGS.max_grad_norm, "no step is clipped"

    reference.save_pretrained(tmp_path / "end")
    trained.model.save(tmp_path / "ours")
    theirs, ours = (
        transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / folder).state_dict()
        for folder in ("end", "ours")
    )
    before = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "begin").state_dict()
    assert ours.keys() == theirs.keys() and weights(trained)
    moved = 0.0
    for name, expected_weight in theirs.items():
        torch.testing.assert_close(
            ours[name], expected_weight, atol=1e-4, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )
        moved = max(moved, (expected_weight.float() - before[name].float()).abs().max().item())
    assert moved > 5e-3, "the steps change weights by far more than the tolerance"
