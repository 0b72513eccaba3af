"""The sample: real texts in over 100 languages, to try everything without a download.

"Which group is the thing that this text names?": names and keywords of emoji, translated by the people of
Unicode's CLDR, and the nine groups of Unicode's emoji list. Both tables are CSV with the columns `language`,
`text` and `group`; no emoji is in both. `scripts/build_sample.py` in the repository builds them and documents
the choices; `LICENSE.txt` beside them is Unicode's.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["TRAINING_LANGUAGES", "evaluation_table", "train_table"]

TRAINING_LANGUAGES: tuple[str, ...] = ("ar", "de", "en", "es", "hi", "id", "ja", "ru", "sw", "tr", "vi", "zh")
"""CLDR's codes of the training table's languages; every other language of the evaluation table is unseen."""


def train_table() -> Path:
    """Locate the training table: about 11,700 rows in `TRAINING_LANGUAGES`."""
    return _shipped("train.csv")


def evaluation_table() -> Path:
    """Locate the evaluation table: about 9,500 rows in all languages, the same emoji in each of them."""
    return _shipped("evaluation.csv")


def _shipped(name: str) -> Path:
    return Path(str(files(__name__) / name))
