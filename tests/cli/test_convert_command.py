"""bertblocks convert."""

from __future__ import annotations

import json


def test_google_to_hugging_face(cli, shared, tmp_path):
    source = shared / "fixtures" / "keras-bert-tf1-tiny"
    assert "4 wide" in cli("info", source).out
    ended = cli("convert", source, "--output", tmp_path / "plain", "--json")
    facts = json.loads(ended.out)
    assert ended.status == 0 and facts["casing"] == "uncased" and len(facts["dropped"]) == 7
    ended = cli("convert", source, "--output", tmp_path / "heads", "--keep-heads")
    assert ended.status == 0 and "BertForPreTraining" in ended.err
    assert "15 tokens" in cli("info", tmp_path / "plain").out


def test_nothing_is_replaced(cli, encoder, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    ended = cli("convert", encoder, "--output", tmp_path / "there")
    assert ended.is_refusal and "is there already" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_what_is_no_encoder(cli, model, tmp_path):
    ended = cli("convert", model, "--output", tmp_path / "out")
    assert ended.is_refusal and "is a Hugging Face folder already" in ended.err
    ended = cli("convert", tmp_path, "--output", tmp_path / "out")
    assert ended.is_refusal and "bert_config.json" in ended.err
    assert not (tmp_path / "out").exists()
