from __future__ import annotations

import pytest
import torch
import transformers

from bertblocks.checkpoints.names import (
    HEAD_TENSORFLOW_NAMES,
    POOLER_PARAMETERS,
    encoder_parameters,
    from_hugging_face,
    modern_name,
    to_hugging_face,
)
from bertblocks.encoder import BertEncoder, EncoderConfig

CONFIG = EncoderConfig(
    vocab_size=11,
    hidden_size=8,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=12,
    max_position_embeddings=7,
    type_vocab_size=2,
)


def test_our_column_is_the_encoders_state_dict():
    state = BertEncoder(CONFIG).state_dict()
    rows = encoder_parameters(CONFIG.num_hidden_layers)
    assert {row.name: row.shape(CONFIG) for row in rows} == {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }


def test_hugging_face_column_is_transformers_state_dict():
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=11,
            hidden_size=8,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=12,
            max_position_embeddings=7,
        )
    )
    rows = (*encoder_parameters(3), *POOLER_PARAMETERS)
    assert {part: row.part_shape(CONFIG) for row in rows for part in row.hugging_face} == {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }


def test_tensorflow_column_is_googles(shared):
    graph = (shared / "fixtures" / "keras-bert-tf1-tiny" / "bert_model.ckpt.meta").read_bytes()
    rows = (*encoder_parameters(2), *POOLER_PARAMETERS)
    names = [part for row in rows for part in row.tensorflow]
    names += [name for name, _ in HEAD_TENSORFLOW_NAMES.values() if name.startswith("cls/")]
    assert len(set(names)) == len(names) == 5 + 2 * 16 + 2 + 7
    # a variable NAME stands in the graph as the node that reads it
    assert [name for name in names if f"{name}/read".encode() not in graph] == []


def test_tensorflow_transposes_dense_kernels_and_nothing_else():
    rows = (*encoder_parameters(1), *POOLER_PARAMETERS)
    for row in rows:
        assert row.transposed == all(part.endswith("/kernel") for part in row.tensorflow), row.name


def test_query_key_value_are_stacked_in_this_order():
    rows = [row for row in encoder_parameters(1) if row.name == "layers.0.attention.qkv.weight"]
    parts = {
        f"encoder.layer.0.attention.self.{part}.weight": torch.full((8, 8), value)
        for part, value in (("value", 3.0), ("query", 1.0), ("key", 2.0))
    }
    joined = from_hugging_face(dict(parts), rows)["layers.0.attention.qkv.weight"]
    assert torch.equal(joined, torch.tensor([1.0, 2.0, 3.0]).repeat_interleave(8)[:, None].expand(24, 8))
    back = to_hugging_face({"layers.0.attention.qkv.weight": joined}, rows, prefix="bert.")
    assert set(back) == {f"bert.{name}" for name in parts}
    assert all(torch.equal(back[f"bert.{name}"], tensor) for name, tensor in parts.items())


def test_conversion_empties_its_source():
    rows = encoder_parameters(3)
    tensors = {part: torch.zeros(row.part_shape(CONFIG)) for row in rows for part in row.hugging_face}
    from_hugging_face(tensors, rows)
    assert tensors == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("cls.predictions.transform.LayerNorm.beta", "cls.predictions.transform.LayerNorm.bias"),
        ("pooler.dense.weight", "pooler.dense.weight"),
        ("classifier.gamma", "classifier.gamma"),
    ],
)
def test_old_layer_norm_names(old, new):
    assert modern_name(old) == new
