from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from tiny_runs import graph_of

from bertblocks.assembly import assemble
from bertblocks.blocks import Task
from bertblocks.data import mean_one
from bertblocks.training import TrainingSettings
from bertblocks.training.losses import summed_loss
from bertblocks.training.sources import TextSource
from tiny_tables import class_texts

HALF = math.log(2.0)  # of a logit 0: -log(1/2)


def test_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0]])
    loss = summed_loss("classification", logits, torch.tensor([0, 1]), None)
    assert loss.item() == pytest.approx(HALF + math.log(4.0), abs=1e-6)
    assert summed_loss("binary", logits, torch.tensor([0, 1]), None).item() == loss.item()


def test_class_weights_multiply_the_loss_of_their_class():
    logits = torch.tensor([[0.0, 0.0], [math.log(3.0), 0.0], [0.0, 0.0]])
    weighted = summed_loss("classification", logits, torch.tensor([0, 1, 1]), torch.tensor([2.0, 0.5]))
    assert weighted.item() == pytest.approx(2 * HALF + 0.5 * math.log(4.0) + 0.5 * HALF, abs=1e-6)


def test_multilabel_averages_over_labels_and_weighs_the_positive_ones():
    logits = torch.tensor([[0.0, math.log(3.0)]])
    targets = torch.tensor([[1.0, 0.0]])
    assert summed_loss("multilabel", logits, targets, None).item() == pytest.approx(
        (HALF + math.log(4.0)) / 2, abs=1e-6
    )
    # The weight of the second label has no effect: it is not given.
    weighted = summed_loss("multilabel", logits, targets, torch.tensor([3.0, 7.0]))
    assert weighted.item() == pytest.approx((3 * HALF + math.log(4.0)) / 2, abs=1e-6)


def test_squared_error_by_hand():
    loss = summed_loss("regression", torch.tensor([[1.0], [-2.0]]), torch.tensor([0.5, 1.0]), None)
    assert loss.item() == pytest.approx(0.25 + 9.0)


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_parts_add_up_to_the_whole(kind):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 1 if kind == "regression" else 3, generator=generator)
    targets = {
        "classification": torch.tensor([0, 1, 2, 0, 1, 2, 2]),
        "multilabel": (torch.rand(7, 3, generator=generator) > 0.5).float(),
        "regression": torch.randn(7, generator=generator),
    }[kind]
    weights = None if kind == "regression" else torch.tensor([0.5, 1.0, 4.0])
    whole = summed_loss(kind, logits, targets, weights)
    parts = sum(
        summed_loss(kind, logits[part], targets[part], weights)
        for part in (slice(0, 2), slice(2, 3), slice(3, 7))
    )
    assert whole.item() == pytest.approx(parts.item(), rel=1e-6)


def logits_and_targets(kind):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 1 if kind == "regression" else 3, generator=generator, requires_grad=True)
    targets = {
        "classification": torch.tensor([0, 1, 2, 0, 1]),
        "multilabel": (torch.rand(5, 3, generator=generator) > 0.5).float(),
        "regression": torch.randn(5, generator=generator),
    }[kind]
    return logits, targets


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
@pytest.mark.parametrize("class_weights", [None, torch.tensor([0.5, 1.0, 4.0])])
def test_rows_of_weight_one_have_the_bits_of_rows_without_weights(kind, class_weights):
    class_weights = None if kind == "regression" else class_weights
    results = []
    for weights in (None, torch.ones(5)):
        logits, targets = logits_and_targets(kind)
        loss = summed_loss(kind, logits, targets, class_weights, weights)
        loss.backward()
        results.append((loss.detach(), logits.grad))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("kind", ["classification", "multilabel", "regression"])
def test_a_row_of_weight_two_is_the_row_twice(kind):
    logits, targets = logits_and_targets(kind)
    counts = np.array([2.0, 1.0, 0.0, 3.0, 1.0])
    weighted = summed_loss(kind, logits, targets, None, torch.from_numpy(mean_one(counts))) / 5
    rows = np.repeat(np.arange(5), counts.astype(int))
    repeated = summed_loss(kind, logits[rows], targets[rows], None) / len(rows)
    assert weighted.item() == pytest.approx(repeated.item(), rel=1e-5)
    expected, found = (torch.autograd.grad(loss, logits)[0] for loss in (repeated, weighted))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
def test_a_step_in_parts_has_the_gradient_of_the_whole(tiny_encoder, pooling):
    texts, labels = class_texts(24)
    task = Task(kind="classification", labels=("bad", "good"))
    torch.manual_seed(0)
    model = assemble(graph_of(tiny_encoder("cased"), task, pooling=pooling), task)
    module = model.module.eval()  # Dropout differs between runs, but is not what is tested.
    targets = torch.tensor([label == "good" for label in labels]).long()
    gradients, counts = [], []
    for batch_tokens in (10_000, 40):
        settings = TrainingSettings(batch_tokens=batch_tokens)
        source = TextSource(module, model.encode(texts), None, settings, nullcontext)
        step = torch.arange(24).numpy()
        module.zero_grad()
        parts = 0
        for indices, logits, num_tokens in source.parts(step):
            assert num_tokens <= batch_tokens
            (summed_loss("classification", logits, targets[indices], None) / len(step)).backward()
            parts += 1
        counts.append(parts)
        gradients.append({name: weight.grad.clone() for name, weight in module.named_parameters()})
    assert counts[0] == 1 and counts[1] > 3
    whole, split = gradients
    assert whole.keys() == split.keys()
    for name in whole:
        torch.testing.assert_close(split[name], whole[name], rtol=1e-4, atol=1e-6)
    assert any(gradient.abs().max() > 1e-3 for gradient in whole.values())
