from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from bertblocks.blocks import Task
from bertblocks.checkpoints import EncoderDefaults, encoder_defaults, resolve_encoder
from bertblocks.errors import CheckpointError
from tiny import tiny_encoder_folder, tiny_model


def write_pooling(folder: Path, content: Any) -> Path:
    (folder / "1_Pooling").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "1_Pooling" / "config.json").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tiny_encoder, tmp_path) -> Path:
    return shutil.copytree(tiny_encoder("cased"), tmp_path / "encoder")


def test_a_plain_encoder(folder):
    assert encoder_defaults(folder) == EncoderDefaults(pooling="cls", sequence_length=128)


def test_the_limit_is_the_position_table_up_to_512(tmp_path):
    for positions, expected in ((7, 7), (512, 512), (600, 512)):
        folder = tiny_encoder_folder(tmp_path / str(positions), positions=positions)
        (folder / "tokenizer_config.json").write_text('{"model_max_length": 3}', encoding="utf-8")
        (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 4}', encoding="utf-8")
        assert encoder_defaults(folder).sequence_length == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "average"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"embedding_dimension": 32, "pooling_mode": "mean"}, "average"),
        ({"pooling_mode": "max"}, "max"),
        ({"pooling_mode": ["cls"]}, "cls"),
    ],
)
def test_the_pooling_of_sentence_transformers(folder, content, expected, caplog):
    assert encoder_defaults(write_pooling(folder, content)).pooling == expected
    assert not caplog.records


@pytest.mark.parametrize(
    "content",
    [
        {"pooling_mode": "lasttoken"},
        {"pooling_mode": ["mean", "max"]},
        {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
        {"pooling_mode_weightedmean_tokens": True},
        {"pooling_mode": [["mean"]]},
        {},
    ],
)
def test_a_pooling_that_is_not_built_is_said(folder, content, caplog):
    with caplog.at_level(logging.WARNING):
        assert encoder_defaults(write_pooling(folder, content)).pooling == "cls"
    assert "which is not built here: 'cls' is used" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[]", '"mean"'])
def test_a_damaged_file_is_refused(folder, content):
    with pytest.raises(CheckpointError, match="1_Pooling"):
        encoder_defaults(write_pooling(folder, content))


def test_a_folder_without_configuration(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        encoder_defaults(tmp_path)


def test_real_encoders(minilm):
    assert encoder_defaults(minilm) == EncoderDefaults(pooling="average", sequence_length=512)
    assert encoder_defaults(resolve_encoder("mini")).sequence_length == 512


@pytest.mark.parametrize("pooling", ["cls", "average", "max"])
def test_a_saved_model_says_how_it_pooled(tiny_encoder, tmp_path, pooling):
    task = Task(kind="binary", labels=("no", "yes"))
    tiny_model(tiny_encoder("cased"), task, pooling=pooling).save(tmp_path / "m")
    assert encoder_defaults(tmp_path / "m").pooling == pooling
