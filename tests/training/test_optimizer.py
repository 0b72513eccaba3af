from __future__ import annotations

import pytest
import torch
from torch import nn

from bertblocks.training.optimizer import GoogleAdamW, build_optimizer, set_learning_rate


def test_google_adamw_by_hand():
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = GoogleAdamW([{"params": [weight], "weight_decay": 0.01}], lr=0.1)
    weight.grad = torch.tensor([0.5], dtype=torch.float64)
    optimizer.step()
    # mean 0.1 * 0.5, square 0.001 * 0.25, neither corrected for its bias.
    first = 1.0 - 0.1 * (0.05 / (0.00025**0.5 + 1e-6) + 0.01 * 1.0)
    assert weight.item() == pytest.approx(first, abs=1e-12)
    assert first == pytest.approx(0.682792, abs=1e-6)
    weight.grad = torch.tensor([-0.25], dtype=torch.float64)
    optimizer.step()
    # mean 0.9 * 0.05 - 0.1 * 0.25, square 0.999 * 0.00025 + 0.001 * 0.0625.
    second = first - 0.1 * (0.02 / (0.00031225**0.5 + 1e-6) + 0.01 * first)
    assert weight.item() == pytest.approx(second, abs=1e-12)
    assert second == pytest.approx(0.568934, abs=1e-6)


def test_google_adamw_takes_larger_first_steps_than_adamw():
    moved = {}
    for name in ("google-adamw", "adamw"):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(layer.weight)
        optimizer = build_optimizer(
            nn.Sequential(), layer, name=name, learning_rate=1.0, head_learning_rate=0.1, weight_decay=0.0
        )
        layer.weight.grad = torch.full((1, 1), 0.5)
        optimizer.step()
        moved[name] = 1.0 - layer.weight.item()
    # With bias correction the first step is the rate itself, without it 0.1 / sqrt(0.001) times that.
    assert moved["adamw"] == pytest.approx(0.1, rel=1e-4)
    assert moved["google-adamw"] == pytest.approx(0.3162, rel=1e-3)


@pytest.mark.parametrize("name", ["adamw", "google-adamw"])
def test_weights_without_gradient_stay(name):
    layer = nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    optimizer = build_optimizer(
        nn.Sequential(), layer, name=name, learning_rate=1.0, head_learning_rate=1.0, weight_decay=0.5
    )
    layer.bias.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(layer.weight, before)


def test_only_matrices_decay_and_every_part_has_its_rate():
    encoder = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4))
    head = nn.Linear(4, 2)
    optimizer = build_optimizer(
        encoder, head, name="adamw", learning_rate=1e-4, head_learning_rate=1e-3, weight_decay=0.01
    )
    found = {
        id(weight): (group["weight_decay"], group["lr"], group["peak_lr"])
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    for module, rate in ((encoder, 1e-4), (head, 1e-3)):
        for weight in module.parameters():
            assert found.pop(id(weight)) == (0.01 if weight.ndim > 1 else 0.0, rate, rate)
    assert not found
    assert all(group["eps"] == 1e-6 for group in optimizer.param_groups)


def test_frozen_weights_are_not_in_the_optimizer():
    encoder, head = nn.Linear(3, 3), nn.Linear(3, 1)
    encoder.requires_grad_(False)
    optimizer = build_optimizer(
        encoder, head, name="adamw", learning_rate=1e-4, head_learning_rate=1e-3, weight_decay=0.01
    )
    trained = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert trained == {id(weight) for weight in head.parameters()}


def factors(num_steps: int, warmup_fraction: float) -> list[float]:
    optimizer = GoogleAdamW([{"params": [nn.Parameter(torch.zeros(1))], "peak_lr": 2.0}], lr=2.0)
    found = []
    for step in range(num_steps):
        factor = set_learning_rate(optimizer, step=step, num_steps=num_steps, warmup_fraction=warmup_fraction)
        assert optimizer.param_groups[0]["lr"] == 2.0 * factor
        found.append(factor)
    return found


def test_the_schedule_by_hand():
    assert factors(10, 0.2) == [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    assert factors(4, 0.0) == [1.0, 0.75, 0.5, 0.25]
    # A part of a step is a step: 5 * 0.3 = 1.5.
    assert factors(5, 0.3) == [0.5, 1.0, 1.0, 2 / 3, 1 / 3]


@pytest.mark.parametrize("num_steps", [1, 2, 3, 7])
@pytest.mark.parametrize("warmup_fraction", [0.0, 0.1, 0.5, 0.99])
def test_every_step_of_a_schedule_does_something(num_steps, warmup_fraction):
    found = factors(num_steps, warmup_fraction)
    assert all(0 < factor <= 1 for factor in found)
    assert max(found) == 1.0
