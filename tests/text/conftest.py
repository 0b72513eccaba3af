from __future__ import annotations

from pathlib import Path

import pytest
from small_tokenizers import unigram, write_json


@pytest.fixture
def unigram_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "unigram"
    folder.mkdir()
    tokenizer = unigram()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=4)
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = {"cls_token": "<s>", "sep_token": "</s>", "mask_token": {"content": "<mask>", "lstrip": True}}
    write_json(folder / "tokenizer_config.json", roles)
    return folder
