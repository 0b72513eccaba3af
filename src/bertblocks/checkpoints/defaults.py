"""What an encoder's folder says about how it is best used."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.blocks import MAX_SEQUENCE_LENGTH, PoolingName
from bertblocks.checkpoints.folders import read_folder_config

_logger = logging.getLogger(__name__)

# Names as in sentence-transformers; the others (weighted mean, last token) are not built here.
_POOLINGS: Mapping[str, PoolingName] = {"cls": "cls", "mean": "average", "max": "max"}
_OLD_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


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
        pooling=_pooling(folder / "1_Pooling" / "config.json"),
        sequence_length=min(MAX_SEQUENCE_LENGTH, config.max_sequence_length),
    )


def _pooling(path: Path) -> PoolingName:
    """Read either form that sentence-transformers writes: newer a name, before a truth value a mode."""
    if not is_there(path):
        return "cls"
    raw = read_json_object(path, root=path.parent.parent)
    mode = raw.get("pooling_mode")
    if mode is None:
        mode = [name for key, name in _OLD_KEYS.items() if raw.get(key)]
    names = mode if isinstance(mode, list) else [mode]
    pooling = _POOLINGS.get(str(names[0])) if len(names) == 1 else None
    if pooling is None:
        _logger.warning("%s asks for the pooling %s, which is not built here: 'cls' is used.", path, names)
        return "cls"
    return pooling
