"""What an encoder's folder says about how it is best used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bertblocks.blocks import MAX_SEQUENCE_LENGTH, PoolingName
from bertblocks.checkpoints.folders import read_folder_config
from bertblocks.checkpoints.pooling_file import read_pooling


@dataclass(frozen=True, kw_only=True)
class EncoderDefaults:
    """How an encoder is used unless the user says otherwise.

    Attributes:
        pooling: As sentence-transformers' `1_Pooling/config.json` says, and "cls" without it, or (with a
            warning in the log) where it says what is not built here.
        sequence_length: The position table's size, at most 512; never the tokenizer's metadata.
    """

    pooling: PoolingName
    sequence_length: int


def encoder_defaults(folder: Path) -> EncoderDefaults:
    """Read how the encoder in a folder is best used.

    Raises:
        CheckpointError: If a file cannot be read.
    """
    config = read_folder_config(folder)
    return EncoderDefaults(
        pooling=read_pooling(folder) or "cls",
        sequence_length=min(MAX_SEQUENCE_LENGTH, config.max_sequence_length),
    )
