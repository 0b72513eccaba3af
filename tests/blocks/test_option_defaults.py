"""Defaults are part of the format: saved models leave them out, so that a change changes all of them."""

from __future__ import annotations

import dataclasses

from bertblocks.blocks import Task
from bertblocks.blocks.blocks import ALL_BLOCKS

DEFAULTS = {
    "BertEncoder": {
        "output": "cls",
        "trainable": True,
        "num_layers": 12,
        "num_heads": 12,
        "hidden_size": 768,
        "intermediate_size": 3072,
    },
    "BertPooler": {"trainable": True},
    "BertTokenizer": {
        "vocabulary": "multilingual-cased",
        "sequence_length": 512,
        "windows": "truncate",
        "stride": None,
        "window_pooling": "average",
    },
    "Dense": {"activation": "linear", "trainable": True},
    "Dropout": {"rate": 0.1},
    "EnglishBertEncoder": {"output": "cls", "trainable": True, "weights": "english-uncased"},
    "GlobalAveragePooling1D": {},
    "GlobalMaxPooling1D": {},
    "MultilingualBertEncoder": {"output": "cls", "trainable": True, "weights": "multilingual-cased"},
    "PretrainedBertEncoder": {"output": "cls", "trainable": True},
    "Target": {"task": "classification"},
    "Task": {
        "labels": (),
        "target_mean": 0.0,
        "target_scale": 1.0,
        "thresholds": (),
        "temperature": 1.0,
        "temperatures": (),
    },
    "TextInput": {},
    "TokenIdsInput": {},
}


def test_defaults_never_change():
    found = {
        kind.__name__: {
            field.name: field.default
            for field in dataclasses.fields(kind)
            if field.default is not dataclasses.MISSING
        }
        for kind in (*ALL_BLOCKS, Task)
    }
    assert found == DEFAULTS


def test_options_without_a_default_are_those_of_format_1():
    # Another one would be missing from every saved model: a new option needs a default.
    found = {
        kind.__name__: [
            field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING
        ]
        for kind in (*ALL_BLOCKS, Task)
    }
    assert {name: options for name, options in found.items() if options} == {
        "BertEncoder": ["vocabulary_size"],
        "Dense": ["units"],
        "PretrainedBertEncoder": ["weights"],
        "Target": ["column"],
        "Task": ["kind"],
        "TextInput": ["column"],
        "TokenIdsInput": ["column"],
    }
