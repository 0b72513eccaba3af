from __future__ import annotations

import pytest
import torch

from bertblocks.blocks import Task
from tiny import tiny_model

TASKS = {
    "classification": Task(kind="classification", labels=("bad", "good", "none"), temperature=1.5),
    "binary": Task(kind="binary", labels=("no", "yes"), temperature=0.7),
    "multilabel": Task(kind="multilabel", labels=("a", "b", "c"), temperatures=(0.5, 1.0, 2.0)),
    "regression": Task(kind="regression", target_mean=100.0, target_scale=7.0),
}


@pytest.fixture(params=TASKS)
def task(request) -> Task:
    return TASKS[request.param]


@pytest.fixture
def model(task, tiny_encoder):
    return tiny_model(tiny_encoder("cased"), task)


@pytest.fixture
def classifier(tiny_encoder):
    return tiny_model(tiny_encoder("cased"), TASKS["classification"])


@pytest.fixture
def pair_model(tiny_encoder):
    return tiny_model(tiny_encoder("cased"), TASKS["classification"], text="a", text_pair="b")


@pytest.fixture
def unprepared():
    """Tells whether a module is as training left it: no gradient, no changed flag."""

    def is_as_it_was(module: torch.nn.Module) -> bool:
        return all(weight.grad is None for weight in module.parameters()) and not module.training

    return is_as_it_was
