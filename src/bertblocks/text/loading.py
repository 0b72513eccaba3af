"""A name or a folder → a tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, cast, get_args

from bertblocks._foreign_files import is_there
from bertblocks.errors import CheckpointError
from bertblocks.text.google_folders import is_google_folder, read_google_vocabulary
from bertblocks.text.google_rules import google_lowercase, stated_lowercase
from bertblocks.text.other_models import OtherModel
from bertblocks.text.settings import (
    TokenizerSettings,
    read_settings,
    refuse_other_rules,
    refuse_other_tokenizers,
)
from bertblocks.text.tokenizer import Tokenizer, TokenModel
from bertblocks.text.tokenizer_json import check_word_length, read_tokenizer_json
from bertblocks.text.vocabulary import (
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


def load_encoder_tokenizer(
    encoder: str | os.PathLike[str], folder: Path, *, sequence_length: int = 512
) -> Tokenizer:
    """Make the tokenizer of an encoder whose folder is at hand.

    Args:
        encoder: What was asked for. A name of ours has the tokenizer that ships here, which graphs name too.
        folder: The encoder's folder, which has the tokenizer of any other.
        sequence_length: As for `load_tokenizer`, which tells what is raised.
    """
    is_named = isinstance(encoder, str) and encoder in TOKENIZER_NAMES
    return load_tokenizer(encoder if is_named else folder, sequence_length=sequence_length)


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
    settings = read_settings(folder)
    definition_path, vocabulary_path = folder / "tokenizer.json", folder / "vocab.txt"
    if not is_there(definition_path):
        if not is_there(vocabulary_path):
            raise CheckpointError(_nothing_found(folder))
        return _read_wordpiece(vocabulary_path, settings)
    definition = read_tokenizer_json(definition_path)
    _check_same_casing(definition, settings)
    lower = google_lowercase(definition)
    if lower is None:
        check_word_length(definition, definition_path)
        return OtherModel(json.dumps(definition, ensure_ascii=False), settings.roles, str(definition_path))
    refuse_other_tokenizers(settings)
    vocabulary = _vocabulary_of(definition, definition_path, lower)
    refuse_other_rules(settings, vocabulary)
    if not is_there(vocabulary_path):
        return WordPieceModel(vocabulary)
    from_text = read_vocabulary(vocabulary_path, do_lower_case=lower)
    _check_same_tokens(from_text, vocabulary, folder)
    return WordPieceModel(from_text)


def _read_wordpiece(path: Path, settings: TokenizerSettings) -> WordPieceModel:
    """Read a `vocab.txt` without a `tokenizer.json`."""
    refuse_other_tokenizers(settings)
    lower = settings.do_lower_case
    if lower is None and is_google_folder(path.parent):
        vocabulary = read_google_vocabulary(path)
    else:
        vocabulary = read_vocabulary(path, do_lower_case=lower)
    refuse_other_rules(settings, vocabulary)
    return WordPieceModel(vocabulary)


def _check_same_casing(definition: Mapping[str, Any], settings: TokenizerSettings) -> None:
    lower, stated = stated_lowercase(definition), settings.do_lower_case
    if lower is None or stated is None or lower == stated:
        return
    raise CheckpointError(
        f"{settings.folder}: tokenizer_config.json says do_lower_case {str(stated).lower()}, but the "
        f"normalizer in tokenizer.json says lowercase {str(lower).lower()}. Lowercasing for the wrong "
        "vocabulary ruins a model: find out how it was trained, and set both to that."
    )


def _vocabulary_of(definition: Mapping[str, Any], path: Path, lower: bool) -> Vocabulary:
    """The vocabulary inside a `tokenizer.json`, as the `vocab.txt` that would hold it."""
    ids: dict[str, int] = definition["model"]["vocab"]
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise CheckpointError(f"{path}: the ids of its vocabulary are not 0 to {len(tokens) - 1}, each once.")
    content = "".join(f"{token}\n" for token in tokens).encode()
    made = parse_vocabulary(content, name=path.absolute().parent.name, origin=str(path), do_lower_case=lower)
    if made.tokens() != tuple(tokens):
        pairs = zip(tokens, made.tokens(), strict=False)
        first = next((a for a, b in pairs if a != b), tokens[-1])
        raise CheckpointError(
            f"{path}: its token {first!r:.50} has white space at its ends or a line break, which no word "
            "has. Save the tokenizer again."
        )
    return made


def _check_same_tokens(from_text: Vocabulary, from_json: Vocabulary, folder: Path) -> None:
    ours, theirs = from_text.tokens(), from_json.tokens()
    if ours == theirs:
        return
    pairs = enumerate(zip(ours, theirs, strict=False))
    first = next((f"; id {i} is {a!r} and {b!r}" for i, (a, b) in pairs if a != b), "")
    raise CheckpointError(
        f"{folder}: vocab.txt and tokenizer.json hold different vocabularies: {len(from_text):,} and "
        f"{len(from_json):,} tokens{first}. Remove the one that does not belong to the weights."
    )


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
