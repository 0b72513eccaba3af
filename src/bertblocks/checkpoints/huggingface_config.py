"""config.json ↔ EncoderConfig: what we build is read; what would change the network is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from bertblocks._foreign_files import read_json_object
from bertblocks.encoder.config import Activation, EncoderConfig, Family
from bertblocks.errors import CheckpointError, ConfigError

_KEYS = {"hidden_dropout": "hidden_dropout_prob", "attention_dropout": "attention_probs_dropout_prob"}
"""Hugging Face's names where they differ from EncoderConfig's."""

_REQUIRED = frozenset(
    {
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    }
)

_NOT_NUMBERS = frozenset({"activation", "family", "position_offset"})
"""Fields of EncoderConfig that config.json has in another form."""

_LIMITS = {"num_hidden_layers": (1, 1000), "layer_norm_eps": (1e-30, 1), "initializer_range": (0, 100)}
"""Smallest and largest value believed; the table of names grows with the layers."""

# Each name on the left computes the formula on the right in transformers.activations, within float32's
# rounding. quick_gelu (a sigmoid), gelu_10 (clipped) and the rest are other functions.
_ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
}
_WRITTEN_ACTIVATIONS: Mapping[Activation, str] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
}

_CLASSES: Mapping[Family, str] = {
    "bert": "Bert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
}
"""What transformers' class names begin with."""

_SUPPORTED = (
    "BERT, RoBERTa, XLM-RoBERTa and CamemBERT encoders as Google and Hugging Face define them (model_type "
    f"{', '.join(_CLASSES)})"
)
_PAD_TOKEN_ID = 1  # of RoBERTa's family where config.json does not say it, as in transformers

# Keys that change the network, the values under which they do not, and what they would ask for.
_PLAIN: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "position_embedding_type": ((None, "absolute"), "positions are absolute, added to the word embeddings"),
    "is_decoder": ((None, False), "the encoder looks both ways, without a causal mask"),
    "add_cross_attention": ((None, False), "there is no second input to attend to"),
    "is_encoder_decoder": ((None, False), "there is no decoder"),
    "pruned_heads": ((None, {}), "every layer has all of its heads"),
    "quantization_config": ((None, {}), "weights are plain floating point"),
    "feed_forward_type": ((None, "original"), "the feed-forward is dense, activation, dense"),
    "directionality": ((None, "bidi"), "the encoder looks both ways"),
    # NEZHA's
    "use_relative_position": ((None, False), "positions are absolute, added to the word embeddings"),
    # ALBERT's
    "inner_group_num": ((None, 1), "a layer is attention and feed-forward once"),
    "net_structure_type": ((None, 0), "layers follow each other as in BERT"),
    # MobileBERT's
    "use_bottleneck": ((None, False), "layers are hidden_size wide throughout"),
    "trigram_input": ((None, False), "a token is embedded without its neighbours"),
    "normalization_type": ((None, "layer_norm"), "layers are normalized by layer norm"),
    "num_feedforward_networks": ((None, 1), "a layer has one feed-forward"),
}

# Keys that change the network unless they equal another key.
_EQUAL: Mapping[str, tuple[str, str]] = {
    "embedding_size": ("hidden_size", "embeddings are as wide as hidden_size"),
    "intra_bottleneck_size": ("hidden_size", "layers are hidden_size wide throughout"),
    "num_hidden_groups": ("num_hidden_layers", "every layer has weights of its own"),
}


def read_config(path: Path, *, missing: Mapping[str, Any] | None = None) -> EncoderConfig:
    """Read a Hugging Face config.json of BERT's or RoBERTa's family.

    Keys that do not change the encoder (labels, ids of special tokens, cache, versions) are ignored. Where
    dropout, initializer_range, layer_norm_eps, type_vocab_size or hidden_act is missing, BERT's default
    holds, as in transformers.

    Args:
        path: The file.
        missing: Values of keys that the file may leave out, where they are not BERT's defaults.

    Returns:
        The encoder's configuration.

    Raises:
        CheckpointError: If the file cannot be read, or describes a network that we do not build; every
            problem at once.
    """
    raw = {**(missing or {}), **read_json_object(path)}
    family = _family(raw)
    values, number_problems = _read_numbers(raw)
    values["family"] = family or "bert"
    if family not in (None, "bert"):
        # RoBERTa's positions begin behind the padding token's id.
        pad_token_id = raw.get("pad_token_id", _PAD_TOKEN_ID)
        if problem := _number_problem("pad_token_id", pad_token_id, whole=True):
            number_problems.append(problem)
        else:
            values["position_offset"] = pad_token_id + 1
    problems = [*_family_problems(raw, family), *_network_problems(raw), *number_problems]
    activation = raw.get("hidden_act", "gelu")
    if isinstance(activation, str) and activation in _ACTIVATIONS:
        values["activation"] = _ACTIVATIONS[activation]
    else:
        problems.append(f"hidden_act is {activation!r}, but must be one of {', '.join(sorted(_ACTIVATIONS))}")
    config = None
    if not number_problems:
        try:
            config = EncoderConfig(**values)
        except ConfigError as error:
            problems.append(str(error).removesuffix("."))
    if config is None or problems:
        raise CheckpointError(
            f"{path} describes a network that cannot be built here: {'; '.join(problems)}. Supported: "
            f"{_SUPPORTED}."
        )
    return config


def write_config(config: EncoderConfig, *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write an encoder's configuration as Hugging Face's config.json.

    Args:
        config: The encoder's sizes.
        extra: Further keys: architectures, id2label, label2id, problem_type, pad_token_id and the like. Of
            RoBERTa's family the encoder decides pad_token_id, whatever the tokenizer pads with: transformers
            counts positions from it, and masks what is padding without it.

    Returns:
        The JSON object.

    Raises:
        ConfigError: If `extra` names a key that the encoder's configuration decides.
    """
    written: dict[str, Any] = {"model_type": config.family, "position_embedding_type": "absolute"}
    for field in fields(config):
        if field.name not in _NOT_NUMBERS:
            written[_KEYS.get(field.name, field.name)] = getattr(config, field.name)
    written["hidden_act"] = _WRITTEN_ACTIVATIONS[config.activation]
    asked = dict(extra or {})
    if config.position_offset:
        asked["pad_token_id"] = config.position_offset - 1
    decided = sorted(key for key in asked.keys() & written.keys() if asked[key] not in (None, written[key]))
    if decided:
        raise ConfigError(
            f"{', '.join(decided)} in config.json come from the encoder; remove them from extra."
        )
    return {**asked, **written}


def class_name(family: Family, purpose: str) -> str:
    """The name of transformers' class: ("roberta", "Model") gives "RobertaModel"."""
    return _CLASSES[family] + purpose


def _family(raw: Mapping[str, Any]) -> Family | None:
    """Which family this is, or None. Folders of 2019 name a class at most, and no model_type."""
    model_type = raw.get("model_type")
    if model_type is not None:
        return next((family for family in _CLASSES if family == model_type), None)
    classes = raw.get("architectures") or []
    if not classes:
        return "bert"
    if not isinstance(classes, list):
        return None
    found = {_family_of_class(name) for name in classes}
    return found.pop() if len(found) == 1 else None


def _family_of_class(name: Any) -> Family | None:
    for family, start in _CLASSES.items():
        if isinstance(name, str) and (name == f"{start}Model" or name.startswith(f"{start}For")):
            return family
    return None


def _family_problems(raw: Mapping[str, Any], family: Family | None) -> list[str]:
    found = []
    if family is None:
        found.append(
            f"model_type is {raw['model_type']!r}"
            if raw.get("model_type") is not None
            else f"there is no model_type, and architectures is {raw.get('architectures')!r}"
        )
    auto_map = raw.get("auto_map")
    if isinstance(auto_map, dict) and any(name.startswith("AutoModel") for name in auto_map):
        found.append("auto_map names a network in code of its own")
    return found


def _network_problems(raw: Mapping[str, Any]) -> list[str]:
    problems = [
        f"{key} is {raw[key]!r}, but here {meaning}"
        for key, (plain, meaning) in _PLAIN.items()
        # 0 == False in Python, which is just as plain; [] is as empty as {}
        if key in raw and raw[key] not in plain and raw[key] != []
    ]
    problems += [
        f"{key} is {raw[key]!r}, but here {meaning}"
        for key, (other, meaning) in _EQUAL.items()
        if raw.get(key) is not None and raw[key] != raw.get(other)
    ]
    return problems


def _read_numbers(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Take every number of EncoderConfig from config.json; also return what is wrong with them."""
    values: dict[str, Any] = {}
    problems = []
    for field in fields(EncoderConfig):
        key = _KEYS.get(field.name, field.name)
        value: Any = raw.get(key)
        if field.name in _NOT_NUMBERS or (value is None and key not in _REQUIRED):
            continue
        problem = _number_problem(key, value, whole=field.type == "int")
        if problem:
            problems.append(problem)
        else:
            values[field.name] = value if field.type == "int" else float(value)
    return values, problems


def _number_problem(key: str, value: Any, *, whole: bool) -> str | None:
    if value is None:
        return f"{key} is missing"
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return f"{key} is {value!r}, but must be a {'whole ' if whole else ''}number"
    low, high = _LIMITS.get(key, (0, 2**31 - 1))
    # written so that NaN fails; a whole number is compared as it is, however long
    return None if low <= value <= high else f"{key} is {value!r}, but must lie between {low} and {high}"
