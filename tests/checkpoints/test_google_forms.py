"""What folders of Google's hold beside plain weights, and the kinds of them that are not read."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from google_folder import KERNEL, D, bert_folder, bert_tensors

import bertblocks as bb
from bertblocks.assembly.conversion import convert
from bertblocks.checkpoints import read_checkpoint
from bertblocks.errors import CheckpointError
from bertblocks.text import load_tokenizer

POOLER = "bert/pooler/dense/bias"


def scalar(value=1.0):
    return np.array(value, dtype=np.float32)


def refusal(folder, **options):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "slots", [("Adam", "Adam_1"), ("Momentum",), ("RMSProp", "RMSProp_1"), ("LAMB", "LAMB_1"), ("adam_m",)]
)
def test_what_optimizers_keep_is_left_out_without_a_word(tmp_path, slots):
    tensors = bert_tensors() | {"output_bias": np.zeros(3, dtype=np.float32)}
    kept = {f"{name}/{slot}": array for name, array in tensors.items() for slot in slots}
    counters = {
        "global_step": np.array(7),
        "beta1_power": scalar(),
        "loss_scale": scalar(),
        "good_steps": scalar(),
    }
    read = read_checkpoint(bert_folder(tmp_path / "google", {**tensors, **kept, **counters}))
    assert read.dropped == ("output_bias",)
    assert np.array_equal(read.pooler["bias"], tensors[POOLER])


def test_a_slot_of_no_weight_is_unexpected(tmp_path):
    tensors = bert_tensors() | {"bert/embeddings/extra/Adam": scalar()}
    message = refusal(bert_folder(tmp_path / "google", tensors))
    assert "unexpected (1): bert/embeddings/extra/Adam" in message


def test_a_counter_that_has_a_shape_is_none(tmp_path):
    tensors = bert_tensors() | {"loss_scale": np.zeros(2, dtype=np.float32)}
    assert read_checkpoint(bert_folder(tmp_path / "google", tensors)).dropped == ("loss_scale",)


def test_averaged_weights_beside_the_weights_are_refused(tmp_path):
    tensors = bert_tensors()
    tensors[f"{POOLER}/ExponentialMovingAverage"] = tensors[POOLER]
    message = refusal(bert_folder(tmp_path / "google", tensors))
    assert f"holds averaged copies of weights ({POOLER}/ExponentialMovingAverage)" in message
    assert "Save it again with one of them" in message


def test_of_the_heads_those_without_a_name_in_transformers_are_dropped(tmp_path):
    heads = {
        "output_weights": np.ones((3, D), dtype=np.float32),
        "output_bias": np.ones(3, dtype=np.float32),
        "cls/squad/output_weights": np.ones((2, D), dtype=np.float32),
    }
    folder = bert_folder(tmp_path / "google", bert_tensors() | heads)
    assert read_checkpoint(folder).dropped == ("output_bias", "output_weights", "cls/squad/output_weights")
    kept = read_checkpoint(folder, keep_heads=True)
    assert sorted(kept.head) == ["classifier.bias", "classifier.weight"]
    assert kept.dropped == ("cls/squad/output_weights",)


def test_googles_classifier_opens_in_transformers_as_one(tmp_path):
    random = np.random.default_rng(1)
    weights, bias = (random.normal(size=shape).astype(np.float32) for shape in ((3, D), (3,)))
    tensors = bert_tensors() | {"output_weights": weights, "output_bias": bias}
    folder = bert_folder(tmp_path / "uncased_L-1", tensors)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n")
    assert convert(folder, tmp_path / "out", keep_heads=True).head_class == "BertForSequenceClassification"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.no_grad():
        expected = model.bert(ids).pooler_output @ torch.from_numpy(weights).T + torch.from_numpy(bias)
        assert model.num_labels == 3
        torch.testing.assert_close(model(ids).logits, expected, atol=1e-6, rtol=0)


def test_a_checkpoint_of_tensorflow_2_is_named_as_that(tmp_path):
    tensors = {f"model/layer/{i}/.ATTRIBUTES/VARIABLE_VALUE": scalar() for i in range(3)}
    message = refusal(bert_folder(tmp_path / "google", tensors))
    assert "is a checkpoint of objects as TensorFlow 2 writes it" in message
    assert "missing" not in message and "Save the model as a Hugging Face folder" in message


def test_an_encoder_that_lies_deeper_in_a_model(tmp_path):
    tensors = {f"tower/{name}": array for name, array in bert_tensors().items()}
    message = refusal(bert_folder(tmp_path / "google", tensors))
    assert (
        "that its bert_config.json describes (its names begin with 'tower/bert/', expected 'bert/'" in message
    )


def edit_config(folder, **changes):
    path = folder / "bert_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


@pytest.mark.parametrize(
    ("lower", "message"),
    [
        (False, "says do_lower_case false, but vocab.txt is uncased. Lowercasing"),
        ("yes", "do_lower_case is 'yes', but must be true or false"),
    ],
)
def test_the_casing_that_a_configuration_states(shared, tmp_path, lower, message):
    source = shared / "fixtures" / "keras-bert-tf1-tiny"
    folder = shutil.copytree(source, tmp_path / "google", copy_function=shutil.copyfile)
    read_checkpoint(edit_config(folder, do_lower_case=True))
    assert message in refusal(edit_config(folder, do_lower_case=lower))


def test_a_wrong_name_is_overruled_as_its_message_says(shared, tmp_path):
    source = shared / "fixtures" / "keras-bert-tf1-tiny"
    folder = shutil.copytree(source, tmp_path / "cased_L-2_H-4_A-4", copy_function=shutil.copyfile)
    edit_config(folder, do_lower_case=True)
    assert "but its folder is called 'cased_L-2_H-4_A-4'" in refusal(folder)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    read_checkpoint(folder)
    assert load_tokenizer(folder).casing == "uncased"


@pytest.mark.parametrize("old_names", [True, False])
def test_the_form_of_2018(tiny_encoder, tmp_path, old_names):
    source = tiny_encoder("uncased")
    expected = read_checkpoint(source)
    folder = tmp_path / "uncased_L-2_H-32_A-4"
    folder.mkdir()
    shutil.copy(source / "vocab.txt", folder)
    config = json.loads((source / "config.json").read_text())
    for key in ("model_type", "architectures", "layer_norm_eps", "pad_token_id"):
        del config[key]
    (folder / "bert_config.json").write_text(json.dumps(config))
    state = dict(expected_state(source, old_names))
    torch.save(state, folder / "pytorch_model.bin")
    read = read_checkpoint(folder)
    assert read.config == expected.config and read.dropped == ("cls.predictions.bias",)
    assert all(torch.equal(read.encoder[name], tensor) for name, tensor in expected.encoder.items())
    assert load_tokenizer(folder).casing == "uncased"
    vectors = bb.load_encoder(folder, precision="float32").encode(["a film"])
    assert np.array_equal(vectors, bb.load_encoder(source, precision="float32").encode(["a film"]))


def expected_state(source, old_names):
    """The tensors as pytorch-pretrained-bert named them."""
    from safetensors.torch import load_file

    for name, tensor in load_file(source / "model.safetensors").items():
        if old_names and "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        yield f"bert.{name}", tensor
    yield "cls.predictions.bias", torch.zeros(3)


def test_googles_checkpoint_goes_before_a_port_of_it_in_the_same_folder(tmp_path):
    folder = bert_folder(tmp_path / "google", bert_tensors())
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert read_checkpoint(folder).config.hidden_size == D


def test_a_folder_of_googles_without_weights_says_which_are_expected(tmp_path):
    folder = bert_folder(tmp_path / "google", bert_tensors())
    for path in folder.glob("bert_model*"):
        path.unlink()
    assert "has no checkpoints: expected bert_model.ckpt.index" in refusal(folder)


def test_shapes_are_told_as_google_stores_them(tmp_path):
    tensors = bert_tensors()
    tensors[KERNEL] = np.zeros((D, 5), dtype=np.float32)
    message = refusal(bert_folder(tmp_path / "google", tensors))
    assert f"{KERNEL} is ({D}, 5), bert_config.json asks for ({D}, 12)" in message
