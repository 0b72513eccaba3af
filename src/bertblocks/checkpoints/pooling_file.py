"""1_Pooling/config.json, by which sentence-transformers knows how an encoder's token vectors become one."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from bertblocks._files import write_text_atomically
from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.blocks import PoolingName

POOLING_FILE = "1_Pooling/config.json"
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


def read_pooling(folder: Path) -> PoolingName | None:
    """Read a folder's pooling, in either form that sentence-transformers writes.

    Newer ones have a name, those before a truth value a mode.

    Args:
        folder: The encoder's.

    Returns:
        The pooling; None where the folder has no such file, or (with a warning in the log) where it asks for
        what is not built here.

    Raises:
        CheckpointError: If the file cannot be read, or is a link out of the folder.
    """
    path = folder / POOLING_FILE
    if not is_there(path):
        return None
    raw = read_json_object(path, root=folder)
    mode = raw.get("pooling_mode")
    if mode is None:
        mode = [name for key, name in _OLD_KEYS.items() if raw.get(key)]
    names = mode if isinstance(mode, list) else [mode]
    pooling = _POOLINGS.get(str(names[0])) if len(names) == 1 else None
    if pooling is None:
        _logger.warning("%s asks for the pooling %s, which is not built here: 'cls' is used.", path, names)
    return pooling


def write_pooling(folder: Path, pooling: PoolingName, hidden_size: int) -> None:
    """Write a folder's pooling in the form that every version of sentence-transformers reads."""
    content = {
        "word_embedding_dimension": hidden_size,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "average",
        "pooling_mode_max_tokens": pooling == "max",
    }
    write_text_atomically(folder / POOLING_FILE, json.dumps(content, indent=1) + "\n")
