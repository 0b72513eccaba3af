"""RoBERTa, XLM-RoBERTa and CamemBERT: BERT's layers, other positions, one segment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from parity import TINY, encoder_of, random_ids

from bertblocks.assembly import load_model
from bertblocks.blocks import Task
from bertblocks.checkpoints import encoder_defaults, read_checkpoint, write_checkpoint
from bertblocks.encoder import EncoderConfig, PackedTokens
from bertblocks.errors import CheckpointError, ConfigError, ShapeError
from bertblocks.inference import load_encoder
from bertblocks.text import load_tokenizer
from tiny import tiny_model

FAMILIES = {
    "roberta": ("RobertaConfig", "RobertaModel"),
    "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaModel"),
    "camembert": ("CamembertConfig", "CamembertModel"),
}
SIZES = {**TINY, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}
OTHERS = {
    "as released": {},
    "gelu_new": {"hidden_act": "gelu_new"},
    "two segments": {"type_vocab_size": 2},
    "another padding token": {"pad_token_id": 4},
    "one layer": {"num_hidden_layers": 1},
}


def random_model(family: str, **sizes: object) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    config, model = (getattr(transformers, name) for name in FAMILIES[family])
    made = model(config(**{**SIZES, **sizes})).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn_like(weight) * 0.2)
    return made


@pytest.mark.parametrize("sizes", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_hidden_states_equal_transformers(family, sizes, tmp_path):
    model = random_model(family, **sizes)
    model.save_pretrained(tmp_path)
    encoder = encoder_of(read_checkpoint(tmp_path))
    limit = encoder.config.max_sequence_length
    assert limit == SIZES["max_position_embeddings"] - sizes.get("pad_token_id", 1) - 1
    # transformers gives a padding token inside a text the padding's position: ids begin above it.
    sequences = [ids + 5 for ids in random_ids(90, [3, 17, 3, limit, 1])]
    packed = PackedTokens.pack(sequences)
    expected = [
        model(input_ids=torch.from_numpy(ids.astype(np.int64))[None]).last_hidden_state[0]
        for ids in sequences
    ]
    torch.testing.assert_close(encoder(packed, "sequence"), torch.cat(expected), atol=1e-5, rtol=0)
    firsts = torch.stack([states[0] for states in expected])
    torch.testing.assert_close(encoder(packed, "cls"), firsts, atol=1e-5, rtol=0)
    with pytest.raises(ShapeError, match=f"position table ends at {limit}"):
        encoder(PackedTokens.pack(random_ids(90, [limit + 1])))


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_what_is_written_opens_in_transformers_as_the_same_family(family, tmp_path):
    model = random_model(family)
    model.save_pretrained(tmp_path / "theirs")
    read = read_checkpoint(tmp_path / "theirs")
    write_checkpoint(tmp_path / "ours", config=read.config, encoder=read.encoder, pooler=read.pooler)
    again, report = transformers.AutoModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert type(again) is type(model) and not report["missing_keys"] and not report["unexpected_keys"]
    ids = torch.arange(5, 20)[None]
    assert torch.equal(again.eval()(ids).last_hidden_state, model(ids).last_hidden_state)


@pytest.fixture
def xlm_roberta(tiny_encoder, tmp_path) -> Path:
    """A tiny XLM-RoBERTa with a SentencePiece tokenizer, as multilingual ones have."""
    folder = tmp_path / "xlm-roberta"
    shutil.copytree(tiny_encoder("unigram"), folder)
    vocabulary = load_tokenizer(folder).vocabulary_size
    (folder / "model.safetensors").unlink()
    random_model("xlm-roberta", vocab_size=vocabulary, max_position_embeddings=130).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pair", [False, True])
@torch.no_grad()
def test_a_saved_model_opens_as_sequence_classification_with_equal_logits(xlm_roberta, pair, tmp_path):
    task = Task(kind="classification", labels=("bad", "good", "so so"))
    columns = {"text_pair": "second"} if pair else {}
    model = tiny_model(xlm_roberta, task, **columns)
    model.save(tmp_path / "saved")
    texts, others = ["The film was very good!", "awful"], ["great", "a hotel of the slow kind"]
    encoded = model.encode(texts, others if pair else None)
    ours = model.module(PackedTokens.pack(encoded.ids, encoded.num_first))
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    assert type(theirs).__name__ == "XLMRobertaForSequenceClassification"
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for row, (text, other) in enumerate(zip(texts, others, strict=True)):
        inputs = tokenizer(text, other if pair else None, return_tensors="pt")
        torch.testing.assert_close(theirs(**inputs).logits[0], ours[row], atol=1e-5, rtol=0)
    loaded = load_model(tmp_path / "saved")
    assert torch.equal(loaded.module(PackedTokens.pack(encoded.ids, encoded.num_first)), ours)


def test_the_limit_is_what_the_position_table_leaves(xlm_roberta):
    assert encoder_defaults(xlm_roberta).sequence_length == 128
    encoder = load_encoder(xlm_roberta, precision="float32")
    assert encoder.encode(["good " * 500]).shape == (1, SIZES["hidden_size"])
    with pytest.raises(ConfigError, match="position table ends at 128"):
        encoder.encode(["good"], sequence_length=129)


def test_heads_are_dropped_by_name(tmp_path):
    torch.manual_seed(0)
    model = transformers.RobertaForMaskedLM(transformers.RobertaConfig(**SIZES))
    model.save_pretrained(tmp_path)
    read = read_checkpoint(tmp_path)
    assert "lm_head.dense.weight" in read.dropped and read.pooler is None


def test_folders_without_a_model_type_are_known_by_their_class(tmp_path):
    random_model("roberta").save_pretrained(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    del raw["model_type"]
    (tmp_path / "config.json").write_text(json.dumps({**raw, "architectures": ["RobertaForMaskedLM"]}))
    assert read_checkpoint(tmp_path).config.family == "roberta"


@pytest.mark.parametrize("model_type", ["distilbert", "electra", "deberta-v2", "modernbert", "mpnet", "t5"])
def test_other_architectures_are_refused_by_name(model_type, tmp_path):
    random_model("roberta").save_pretrained(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**raw, "model_type": model_type}))
    with pytest.raises(CheckpointError, match=f"model_type is '{model_type}'.*Supported: BERT, RoBERTa, XLM"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("pad_token_id", [-1, "one", 63, None, True])
def test_a_padding_token_that_leaves_no_positions(pad_token_id, tmp_path):
    random_model("roberta").save_pretrained(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**raw, "pad_token_id": pad_token_id}))
    with pytest.raises(CheckpointError, match=r"pad_token_id is|position_offset is"):
        read_checkpoint(tmp_path)


def test_an_offset_beyond_the_table_is_refused():
    with pytest.raises(ConfigError, match="must leave rows"):
        EncoderConfig(max_position_embeddings=2, position_offset=2)
    with pytest.raises(ConfigError, match="family is 'electra'"):
        EncoderConfig(family="electra")
