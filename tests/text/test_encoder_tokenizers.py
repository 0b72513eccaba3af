"""A named encoder has the tokenizer that ships here, whatever its folder holds: everywhere the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_tokenizers import write_vocabulary

from bertblocks.assembly import conversion
from bertblocks.cli import info
from bertblocks.errors import GraphError
from bertblocks.inference import text_encoder
from bertblocks.text import load_encoder_tokenizer, shipped_vocabulary


def test_only_a_name_of_ours_has_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vocabulary(tmp_path)
    monkeypatch.chdir(tmp_path)
    named = load_encoder_tokenizer("english-uncased", tmp_path, sequence_length=7)
    assert (named.name, named.vocabulary_size, named.sequence_length) == ("english-uncased", 30_522, 7)
    for encoder in (Path("english-uncased"), "./english-uncased", "google-bert/bert-base-uncased"):
        assert load_encoder_tokenizer(encoder, tmp_path).vocabulary_size == 15


@pytest.fixture
def cached(tiny_encoder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the hub's folder of english-uncased, with a vocabulary of its own."""
    for module in (conversion, text_encoder):
        monkeypatch.setattr(module, "resolve_encoder", lambda source: tiny_encoder("uncased"))
    return tiny_encoder("uncased")


def test_conversion(cached: Path, tmp_path: Path) -> None:
    conversion.convert("english-uncased", tmp_path / "out")
    expected = shipped_vocabulary("english-uncased").content
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == expected


def test_text_encoder(cached: Path) -> None:
    with pytest.raises(GraphError, match="the tokenizer has 30522 ids"):
        text_encoder.load_encoder("english-uncased")


def test_info(cached: Path) -> None:
    assert info._encoder_facts("english-uncased", cached)["vocabulary"] == "30,522 tokens, uncased"
