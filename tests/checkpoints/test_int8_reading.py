"""An encoder that is read in int8 is the one that is quantized afterwards."""

from __future__ import annotations

import pytest
import torch
import transformers
from google_folder import KERNEL, bert_folder, bert_tensors
from safetensors.torch import load_file, save_file

from bertblocks.assembly import load_encoder_module
from bertblocks.checkpoints import read_checkpoint
from bertblocks.encoder import PackedTokens, available_kernels, quantize_weight, to_precision
from bertblocks.errors import CheckpointError

HF_WEIGHT = "encoder.layer.1.intermediate.dense.weight"


def hugging_face_folder(path):
    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96
    )
    transformers.BertModel(config).save_pretrained(path)
    return path


@pytest.fixture(params=["google", "safetensors", "bin"])
def folder(request, tmp_path):
    path = tmp_path / "encoder"
    if request.param == "google":
        return bert_folder(path, bert_tensors())
    hugging_face_folder(path)
    if request.param == "bin":
        torch.save(load_file(path / "model.safetensors"), path / "pytorch_model.bin")
        (path / "model.safetensors").unlink()
    return path


def test_weights_are_quantized_as_they_are_read(folder):
    exact, read = read_checkpoint(folder).encoder, read_checkpoint(folder, dtype=torch.int8).encoder
    assert {name for name in read if not name.endswith("_scale")} == set(exact)
    for name, tensor in exact.items():
        if name.startswith("embeddings."):
            assert torch.equal(read[name], tensor.bfloat16()), name
        elif tensor.ndim == 2:
            steps_NK, scale_N = quantize_weight(tensor)
            assert torch.equal(read[name], steps_NK) and torch.equal(read[f"{name}_scale"], scale_N), name
        else:
            assert torch.equal(read[name], tensor), name


@pytest.mark.parametrize("kernels", available_kernels("int8"))
def test_answers_are_the_same_bits(folder, kernels):
    packed = PackedTokens.pack([[1, 2, 3], [4, 5], [6, 1, 2, 3]])
    with torch.inference_mode():
        exact, read = (
            to_precision(load_encoder_module(read_checkpoint(folder, dtype=dtype)), "int8", kernels).eval()
            for dtype in (torch.float32, torch.int8)
        )
        for output in ("cls", "sequence"):
            assert torch.equal(exact(packed, output), read(packed, output))


def test_a_value_that_is_none_is_found_before_it_is_rounded(tmp_path):
    tensors = bert_tensors()
    tensors[KERNEL][0, 0] = float("nan")
    with pytest.raises(CheckpointError, match=f"NaN or infinity in .*{KERNEL}"):
        read_checkpoint(bert_folder(tmp_path / "encoder", tensors), dtype=torch.int8)


def test_integers_are_refused_and_not_taken_for_steps(tmp_path):
    path = hugging_face_folder(tmp_path / "encoder") / "model.safetensors"
    tensors = load_file(path)
    tensors[HF_WEIGHT] = torch.ones(96, 64, dtype=torch.int8)
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not floating point"):
        read_checkpoint(path.parent, dtype=torch.int8)
