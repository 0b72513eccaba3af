"""Models as format 1 wrote them still load and answer as they did; new options of blocks take defaults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bertblocks.assembly import load_model, run_packed
from bertblocks.blocks import BertPooler, Dense

MODELS = Path(__file__).resolve().parents[1] / "models_of_format_1"
TEXTS = ["very good film", "awful, red"]
LOGITS = {
    "cls": [[2.72848, 2.88943, 5.21212], [1.83391, 1.85288, 5.52622]],
    "average": [[-1.32709, -0.76696, 2.71853], [-1.77071, -1.60956, 2.13608]],
}


@pytest.mark.parametrize("name", LOGITS)
def test_a_model_of_format_1_answers_as_it_did(name):
    model = load_model(MODELS / name)
    np.testing.assert_allclose(run_packed(model.module, model.encode(TEXTS)), LOGITS[name], atol=1e-4)
    layers = [block for block in model.graph.head if isinstance(block, BertPooler | Dense)]
    assert all(layer.trainable for layer in layers)
    assert model.graph.encoder.trainable == (name == "cls")
