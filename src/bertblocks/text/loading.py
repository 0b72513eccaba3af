"""A name or a folder → a tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, cast, get_args

from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.errors import CheckpointError
from bertblocks.text.google_folders import is_google_folder, read_google_vocabulary
from bertblocks.text.google_rules import google_lowercase, refuse_other_rules
from bertblocks.text.other_models import OtherModel
from bertblocks.text.tokenizer import Tokenizer, TokenModel
from bertblocks.text.tokenizer_json import check_word_length, read_tokenizer_json
from bertblocks.text.vocabulary import (
    Role,
    ShippedName,
    Vocabulary,
    parse_vocabulary,
    read_vocabulary,
    shipped_vocabulary,
)
from bertblocks.text.wordpiece import WordPieceModel

MINI = "mini"
TOKENIZER_NAMES: tuple[str, ...] = (*get_args(ShippedName), MINI)
_OTHER_FORMS = ("sentencepiece.bpe.model", "spiece.model", "tokenizer.model", "vocab.json")


def load_tokenizer(source: str | os.PathLike[str], *, sequence_length: int = 512) -> Tokenizer:
    """Make a tokenizer from a name or a folder.

    Args:
        source: "multilingual-cased", "english-uncased", "mini", or a folder with `tokenizer.json` or
            `vocab.txt`. A path that is called like a name is written "./mini", or as a `Path`.
        sequence_length: The most tokens a row may have, special tokens included: 3 to 512.

    Raises:
        CheckpointError: If there is no such name or folder, or its files cannot be used.
        ConfigError: If the sequence length is out of range.
    """
    if isinstance(source, str) and source in TOKENIZER_NAMES:
        return _load_named(source, sequence_length)
    folder = Path(source)
    if not folder.is_dir():
        found = "is a file" if folder.is_file() else "does not exist"
        raise CheckpointError(
            f"unknown tokenizer {os.fspath(source)!r}: it is none of "
            f"{', '.join(TOKENIZER_NAMES)}, and as a folder it {found}. "
            f"Give one of these names, or a folder with tokenizer.json or vocab.txt."
        )
    return _load_folder(folder, folder.absolute().name, sequence_length)


def _load_named(name: str, sequence_length: int) -> Tokenizer:
    if name == MINI:
        with as_file(files("bertblocks") / MINI) as folder:
            return _load_folder(folder, MINI, sequence_length)
    model = WordPieceModel(shipped_vocabulary(cast("ShippedName", name)))
    return Tokenizer(name=name, model=model, sequence_length=sequence_length)


def _load_folder(folder: Path, name: str, sequence_length: int) -> Tokenizer:
    model = _read_model(folder)
    if isinstance(model, WordPieceModel) and model.vocabulary.name in get_args(ShippedName):
        name = model.vocabulary.name
    return Tokenizer(name=name, model=model, sequence_length=sequence_length)


def _read_model(folder: Path) -> TokenModel:
    """Read a folder: WordPiece by Google's rules wherever it is that, else what `tokenizer.json` says."""
    configuration = _read_json(folder / "tokenizer_config.json")
    definition_path, vocabulary_path = folder / "tokenizer.json", folder / "vocab.txt"
    if not is_there(definition_path):
        if not is_there(vocabulary_path):
            raise CheckpointError(_nothing_found(folder))
        if is_google_folder(folder) and not configuration:
            return WordPieceModel(read_google_vocabulary(vocabulary_path))
        return _read_wordpiece(vocabulary_path, configuration, lower=None)
    definition = read_tokenizer_json(definition_path)
    lower = google_lowercase(definition)
    if lower is None:
        check_word_length(definition, definition_path)
        roles = _configured_roles({**_read_json(folder / "special_tokens_map.json"), **configuration})
        return OtherModel(json.dumps(definition, ensure_ascii=False), roles, str(definition_path))
    vocabulary = _vocabulary_of(definition, definition_path, _do_lower_case(configuration, lower))
    if not is_there(vocabulary_path):
        refuse_other_rules(configuration, vocabulary.casing, str(folder))
        return WordPieceModel(vocabulary)
    model = _read_wordpiece(vocabulary_path, configuration, lower=lower)
    _check_same_tokens(model.vocabulary, vocabulary, folder)
    return model


def _read_wordpiece(path: Path, configuration: Mapping[str, Any], *, lower: bool | None) -> WordPieceModel:
    vocabulary = read_vocabulary(path, do_lower_case=_do_lower_case(configuration, lower))
    refuse_other_rules(configuration, vocabulary.casing, str(path.parent))
    return WordPieceModel(vocabulary)


def _do_lower_case(configuration: Mapping[str, Any], otherwise: bool | None) -> bool | None:
    value = configuration.get("do_lower_case")
    return value if isinstance(value, bool) else otherwise


def _vocabulary_of(definition: Mapping[str, Any], path: Path, lower: bool | None) -> Vocabulary:
    """The vocabulary inside a `tokenizer.json`, as the `vocab.txt` that would hold it."""
    ids: dict[str, int] = definition["model"]["vocab"]
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise CheckpointError(f"{path}: the ids of its vocabulary are not 0 to {len(tokens) - 1}, each once.")
    content = "".join(f"{token}\n" for token in tokens).encode()
    made = parse_vocabulary(content, name=path.absolute().parent.name, origin=str(path), do_lower_case=lower)
    if made.tokens != tuple(tokens):
        pairs = zip(tokens, made.tokens, strict=False)
        first = next((a for a, b in pairs if a != b), tokens[-1])
        raise CheckpointError(
            f"{path}: its token {first!r:.50} has white space at its ends or a line break, which no word "
            "has. Save the tokenizer again."
        )
    return made


def _check_same_tokens(from_text: Vocabulary, from_json: Vocabulary, folder: Path) -> None:
    if from_text.tokens == from_json.tokens:
        return
    pairs = enumerate(zip(from_text.tokens, from_json.tokens, strict=False))
    first = next((f"; id {i} is {a!r} and {b!r}" for i, (a, b) in pairs if a != b), "")
    raise CheckpointError(
        f"{folder}: vocab.txt and tokenizer.json hold different vocabularies: {len(from_text):,} and "
        f"{len(from_json):,} tokens{first}. Remove the one that does not belong to the weights."
    )


def _configured_roles(configuration: Mapping[str, Any]) -> dict[Role, str]:
    """The special tokens that a configuration names: each a string, or an object with `content`."""
    roles: dict[Role, str] = {}
    for role in get_args(Role):
        token = configuration.get(f"{role}_token")
        name = token.get("content") if isinstance(token, dict) else token
        if isinstance(name, str):
            roles[role] = name
    return roles


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; a missing file is an empty one."""
    return read_json_object(path) if is_there(path) else {}


def _nothing_found(folder: Path) -> str:
    message = f"{folder}: no tokenizer in this folder: looked for tokenizer.json and vocab.txt."
    found = [name for name in _OTHER_FORMS if (folder / name).is_file()]
    if found:
        message += (
            f" It has {found[0]}, which is not read directly: "
            f"AutoTokenizer.from_pretrained(...).save_pretrained(...) "
            f"of transformers makes a tokenizer.json of it."
        )
    return message
