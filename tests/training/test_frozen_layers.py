"""Any block may be frozen: what is frozen stays to the bit, what is not learns."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tiny_runs import graph_of, labeled

from bertblocks.assembly import assemble
from bertblocks.blocks import Dense, Graph
from bertblocks.data import infer_task
from bertblocks.errors import GraphError
from bertblocks.training import TrainingSettings, train_model
from tiny_tables import class_texts

SETTINGS = TrainingSettings(precision="float32", device="cpu", batch_tokens=256, learning_rate=3e-3, epochs=1)


def graph_with(folder, task, *, encoder: bool, pooler: bool, last: bool) -> Graph:
    """The standard model with a dense layer more, each part trainable or frozen."""
    graph = graph_of(folder, task, trainable=encoder)
    blocks = list(graph.blocks)
    blocks[3] = dataclasses.replace(blocks[3], trainable=pooler)
    blocks[5] = dataclasses.replace(blocks[5], trainable=last)
    blocks.insert(4, Dense(8, activation="relu", trainable=False))
    return Graph(blocks)


def state_of(module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("encoder", "pooler", "last"), [(True, False, False), (False, False, True), (False, True, False)]
)
def test_what_is_frozen_stays_and_what_is_not_learns(tiny_encoder, encoder, pooler, last):
    texts, labels = class_texts(24)
    task = infer_task(labels, column="target")
    graph = graph_with(tiny_encoder("cased"), task, encoder=encoder, pooler=pooler, last=last)
    with torch.random.fork_rng():
        torch.manual_seed(SETTINGS.seed)
        before = state_of(assemble(graph, task).module)
    trained = train_model(graph, task, labeled(texts, labels, task), None, SETTINGS)
    after = state_of(trained.model.module)
    changed = {
        name.split(".", 2)[0 if name.startswith("encoder") else 1]
        for name in after
        if not torch.equal(before[name], after[name])
    }
    # the head is pooler (0), dense (1), dropout (2), last dense (3)
    assert changed == {name for name, trains in (("encoder", encoder), ("0", pooler), ("3", last)) if trains}


def test_nothing_to_train_is_refused(tiny_encoder):
    texts, labels = class_texts(8)
    task = infer_task(labels, column="target")
    graph = graph_with(tiny_encoder("cased"), task, encoder=False, pooler=False, last=False)
    with pytest.raises(GraphError, match="training would change nothing: set trainable=True in the last"):
        train_model(graph, task, labeled(texts, labels, task), None, SETTINGS)
