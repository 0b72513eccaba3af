"""The vocabulary of a folder as Google released it, of which only the folder's name may say its casing."""

from __future__ import annotations

import re
from pathlib import Path

from bertblocks.errors import CheckpointError
from bertblocks.text.vocabulary import Casing, Vocabulary, read_vocabulary

GOOGLE_CONFIG = "bert_config.json"
_STATED = re.compile(r"(?<![a-z])(un)?cased(?![a-z])", re.IGNORECASE)


def is_google_folder(folder: Path) -> bool:
    """Whether a folder has Google's form: bert_config.json, and no config.json."""
    return (folder / GOOGLE_CONFIG).is_file() and not (folder / "config.json").is_file()


def read_google_vocabulary(path: Path) -> Vocabulary:
    """Read the vocab.txt of a folder such as "uncased_L-12_H-768_A-12".

    Where the folder's own name says nothing, the one above it is asked: a zip is unpacked into a folder of
    its name, and may hold another one.

    Raises:
        CheckpointError: If it is no vocabulary, or its casing is not the one that the folder's name states.
    """
    folder = path.absolute().parent
    named = next((place for place in (folder, folder.parent) if _stated_casing(place.name)), folder)
    stated = _stated_casing(named.name)
    try:
        vocabulary = read_vocabulary(path)
    except CheckpointError:
        if stated is None:
            raise
        # The pieces alone leave it open; the name decides.
        return read_vocabulary(path, do_lower_case=stated == "uncased")
    if stated is not None and vocabulary.casing != stated:
        raise CheckpointError(
            f"{path} is {vocabulary.casing} by its tokens, but its folder is called {named.name!r}. "
            f"Lowercasing for the wrong vocabulary ruins a model: bring the vocabulary that belongs to the "
            f"weights. If the name is wrong, rename the folder, or put a tokenizer_config.json with "
            f"do_lower_case {str(vocabulary.casing == 'uncased').lower()} beside the vocabulary."
        )
    return vocabulary


def _stated_casing(name: str) -> Casing | None:
    """What a folder's name says; None where it says nothing, or both."""
    found = {match[0].lower() for match in _STATED.finditer(name)}
    if len(found) != 1:
        return None
    return "uncased" if found == {"uncased"} else "cased"
