"""AdamW for BERT: which weights decay, Google's variant, and the learning rate's schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from bertblocks.training.settings import OptimizerName

_EPSILON = 1e-6  # Google's, google-research/bert optimization.py; torch's own default is 1e-8


class GoogleAdamW(torch.optim.Optimizer):
    """Adam with decoupled weight decay and without bias correction, as BERT was trained.

    Source: AdamWeightDecayOptimizer in google-research/bert, optimization.py.
    """

    def __init__(
        self, params: Iterable[dict[str, object]], *, lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
                mean, square = state["exp_avg"], state["exp_avg_sq"]
                mean.lerp_(weight.grad, 1 - beta1)
                square.mul_(beta2).addcmul_(weight.grad, weight.grad, value=1 - beta2)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.addcdiv_(mean, square.sqrt().add_(_EPSILON), value=-group["lr"])


def build_optimizer(
    encoder: nn.Module,
    head: nn.Module,
    *,
    name: OptimizerName,
    learning_rate: float,
    head_learning_rate: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """An optimizer over all weights that require gradients; matrices decay, biases and norms do not.

    Each group carries its peak rate as "peak_lr", which set_learning_rate scales.
    """
    groups = [
        {"params": weights, "weight_decay": decay, "lr": rate, "peak_lr": rate}
        for module, rate in ((encoder, learning_rate), (head, head_learning_rate))
        for weights, decay in _by_decay(module, weight_decay)
        if weights
    ]
    if name == "google-adamw":
        return GoogleAdamW(groups, lr=learning_rate)
    return torch.optim.AdamW(groups, lr=learning_rate, eps=_EPSILON, fused=True)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, *, step: int, num_steps: int, warmup_fraction: float
) -> float:
    """Set the rates for a step: linear rise over the warm-up, then linear fall to 0.

    Returns:
        The factor on each group's peak rate.
    """
    factor = _rate_factor(step, num_steps, warmup_fraction)
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return factor


def decay_over(
    optimizer: torch.optim.Optimizer,
    weight: Tensor,
    *,
    steps: int,
    num_steps: int,
    warmup_fraction: float,
) -> float:
    """What weight decay alone makes of 1 in the first steps of a run; 1 for a weight that is not trained."""
    for group in optimizer.param_groups:
        if any(weight is other for other in group["params"]):
            rate: float = group["peak_lr"] * group["weight_decay"]
            return math.prod(
                1 - rate * _rate_factor(step, num_steps, warmup_fraction) for step in range(steps)
            )
    return 1.0


def _rate_factor(step: int, num_steps: int, warmup_fraction: float) -> float:
    warmup = math.ceil(num_steps * warmup_fraction)
    return (step + 1) / warmup if step < warmup else (num_steps - step) / max(1, num_steps - warmup)


def _by_decay(module: nn.Module, weight_decay: float) -> list[tuple[list[nn.Parameter], float]]:
    trainable = [weight for weight in module.parameters() if weight.requires_grad]
    matrices = [weight for weight in trainable if weight.ndim > 1]
    others = [weight for weight in trainable if weight.ndim <= 1]
    return [(matrices, weight_decay), (others, 0.0)]
