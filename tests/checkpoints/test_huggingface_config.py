from __future__ import annotations

import json

import pytest
import torch

from bertblocks.checkpoints import read_config, write_config
from bertblocks.encoder import EncoderConfig
from bertblocks.errors import CheckpointError, ConfigError

PLAIN = {
    "model_type": "bert",
    "vocab_size": 11,
    "hidden_size": 8,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "max_position_embeddings": 7,
}


def read(tmp_path, changes=(), remove=()):
    path = tmp_path / "config.json"
    raw = {key: value for key, value in {**PLAIN, **dict(changes)}.items() if key not in remove}
    path.write_text(json.dumps(raw), encoding="utf-8")
    return read_config(path)


def test_what_is_missing_has_berts_defaults(tmp_path):
    assert read(tmp_path) == EncoderConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=7,
        type_vocab_size=2,
        layer_norm_eps=1e-12,
        activation="gelu",
        hidden_dropout=0.1,
        attention_dropout=0.1,
        initializer_range=0.02,
    )


def test_googles_multilingual_config_is_read(tmp_path):
    changes = {
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.2,
        "directionality": "bidi",
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 0,
        "pooler_fc_size": 768,
        "pooler_type": "first_token_transform",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "pruned_heads": {},
        "gradient_checkpointing": False,
        "transformers_version": "4.8.2",
        "type_vocab_size": 16,
        "torch_dtype": "float16",
    }
    config = read(tmp_path, changes)
    assert (config.attention_dropout, config.hidden_dropout, config.layer_norm_eps) == (0.2, 0.0, 1e-5)
    assert (config.type_vocab_size, config.activation) == (16, "gelu")


def test_every_activation_read_as_ours_computes_ours():
    from transformers import activations

    from bertblocks.checkpoints.huggingface_config import _ACTIVATIONS

    x = torch.linspace(-12, 12, 20_001)
    ours = {
        "gelu": torch.nn.functional.gelu(x),
        "gelu_tanh": torch.nn.functional.gelu(x, approximate="tanh"),
        "relu": torch.relu(x),
    }
    for theirs, name in _ACTIVATIONS.items():
        assert (activations.ACT2FN[theirs](x) - ours[name]).abs().max() <= 2e-6, theirs
    assert (ours["gelu"] - ours["gelu_tanh"]).abs().max() > 1e-4  # so the bound above tells them apart
    close = [
        name
        for name in sorted(
            set(activations.ACT2FN) - {"prelu", "xielu"}
        )  # those two have weights of their own
        if any((activations.ACT2FN[name](x) - y).abs().max() <= 2e-6 for y in ours.values())
    ]
    assert set(close) == set(_ACTIVATIONS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "distilbert"),
        ("hidden_act", "quick_gelu"),
        ("hidden_act", None),
        ("position_embedding_type", "relative_key_query"),
        ("position_embedding_type", "alibi"),
        ("is_decoder", True),
        ("add_cross_attention", True),
        ("is_encoder_decoder", True),
        ("pruned_heads", {"0": [1]}),
        ("quantization_config", {"load_in_8bit": True}),
        ("feed_forward_type", "geglu"),
        ("embedding_size", 4),
        ("directionality", "uni"),
        ("use_relative_position", True),
        ("num_hidden_groups", 1),
        ("inner_group_num", 2),
        ("net_structure_type", 1),
        ("use_bottleneck", True),
        ("trigram_input", True),
        ("normalization_type", "no_norm"),
        ("num_feedforward_networks", 4),
        ("intra_bottleneck_size", 4),
        ("auto_map", {"AutoModel": "modeling.Custom"}),
        ("vocab_size", "11"),
        ("vocab_size", True),
        ("vocab_size", 11.0),
        ("vocab_size", 0),
        ("vocab_size", 10**30),
        ("num_hidden_layers", 10**9),
        ("num_attention_heads", 3),
        ("hidden_dropout_prob", 1.0),
        ("attention_probs_dropout_prob", -0.1),
        ("attention_probs_dropout_prob", [0.1]),
        ("layer_norm_eps", 0.0),
    ],
)
def test_what_changes_the_network_is_refused_by_name(tmp_path, key, value):
    name = key.removesuffix("_prob").removeprefix("attention_probs_").removeprefix("hidden_")
    with pytest.raises(CheckpointError, match=name):
        read(tmp_path, {key: value})


def test_values_under_which_such_keys_change_nothing(tmp_path):
    plain = {
        "directionality": "bidi",
        "use_relative_position": False,
        "num_hidden_groups": 3,
        "inner_group_num": 1,
        "net_structure_type": 0,
        "use_bottleneck": False,
        "trigram_input": None,
        "normalization_type": "layer_norm",
        "num_feedforward_networks": 1,
        "intra_bottleneck_size": 8,
        "embedding_size": 8,
    }
    assert read(tmp_path, plain) == read(tmp_path)


def test_every_problem_is_reported_at_once(tmp_path):
    changes = {"model_type": "bart", "is_decoder": True, "hidden_act": "mish", "hidden_size": "wide"}
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, changes, remove=("vocab_size",))
    for part in ("'bart'", "is_decoder", "'mish'", "'wide'", "vocab_size is missing"):
        assert part in str(caught.value)


@pytest.mark.parametrize("classes", [None, [], ["BertModel"], ["BertForPreTraining"]])
def test_folders_of_2019_name_no_model_type(tmp_path, classes):
    assert read(tmp_path, {"architectures": classes}, remove=("model_type",)).vocab_size == 11


@pytest.mark.parametrize("classes", [["ElectraModel"], "BertModel", [None], ["BertModel", "RobertaModel"]])
def test_another_class_without_model_type_is_refused(tmp_path, classes):
    with pytest.raises(CheckpointError, match="architectures"):
        read(tmp_path, {"architectures": classes}, remove=("model_type",))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe{}", b'{"a": ' + b"[" * 100_000, b"\0" * 10],
)
def test_what_is_no_json_object_is_refused(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_config(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_config(tmp_path / "config.json")


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu"])
def test_written_config_is_read_back(tmp_path, activation):
    config = EncoderConfig(
        vocab_size=12, hidden_size=8, num_attention_heads=4, layer_norm_eps=1e-7, activation=activation
    )
    written = write_config(config, extra={"id2label": {"0": "a"}})
    assert written["id2label"] == {"0": "a"}
    assert read(tmp_path, written) == config


def test_extra_keys_cannot_contradict_the_encoder():
    with pytest.raises(ConfigError, match=r"hidden_act, vocab_size"):
        write_config(EncoderConfig(), extra={"vocab_size": 3, "hidden_act": "relu"})
