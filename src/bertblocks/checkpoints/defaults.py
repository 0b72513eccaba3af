"""What an encoder's folder says about how it is best used."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertblocks.blocks import PoolingName
from bertblocks.checkpoints.huggingface import read_config
from bertblocks.errors import CheckpointError

# BERT's position table, and the longest sequence that the tokenizer block allows.
_LONGEST = 512


@dataclass(frozen=True, kw_only=True)
class EncoderDefaults:
    """How an encoder is used unless the user says otherwise.

    Attributes:
        pooling: As sentence-transformers' `1_Pooling/config.json` says, and "cls" without it.
        sequence_length: The position table's size, at most 512; never the tokenizer's metadata.
    """

    pooling: PoolingName
    sequence_length: int


def encoder_defaults(folder: Path) -> EncoderDefaults:
    """Read how the encoder in a folder is best used.

    Raises:
        CheckpointError: If a file cannot be read.
    """
    config = read_config(folder / "config.json")
    return EncoderDefaults(
        pooling=_pooling(folder / "1_Pooling" / "config.json"),
        sequence_length=min(_LONGEST, config.max_position_embeddings),
    )


def _pooling(path: Path) -> PoolingName:
    if not path.is_file():
        return "cls"
    try:
        modes: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}.") from error
    if not isinstance(modes, dict):
        raise CheckpointError(f"{path} should hold an object, found {type(modes).__name__}.")
    if modes.get("pooling_mode_mean_tokens"):
        return "average"
    return "max" if modes.get("pooling_mode_max_tokens") else "cls"
