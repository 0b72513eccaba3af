"""What the files beside a vocabulary say of its tokenizer, and whether Google's WordPiece does so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from bertblocks._foreign_files import is_there, read_json_object
from bertblocks.errors import CheckpointError
from bertblocks.text.vocabulary import CONTINUATION, SPECIAL_TOKENS, Role, Vocabulary

_NUM_SHOWN = 5
_GOOGLES_CLASSES = re.compile(
    "(?:Bert|DistilBert|Electra)Tokenizer(?:Fast)?|PreTrainedTokenizerFast|TokenizersBackend"
)
_GOOGLES_VALUES: Mapping[str, tuple[object, ...]] = {
    "tokenize_chinese_chars": (None, True),
    "do_basic_tokenize": (None, True),
    "never_split": (None, []),
    "word_tokenizer_type": (None, "basic"),
    "subword_tokenizer_type": (None, "wordpiece"),
    "wordpieces_prefix": (None, CONTINUATION),
}


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """The settings of a folder's tokenizer.

    Attributes:
        folder: Where they come from.
        values: What tokenizer_config.json says; what it leaves open, special_tokens_map.json, and of the
            tokenizer's class config.json.
        added: What added_tokens.json holds: the id of each token.
    """

    folder: Path
    values: Mapping[str, Any]
    added: Mapping[str, Any]

    @property
    def do_lower_case(self) -> bool | None:
        """What is stated of the casing, if anything.

        Raises:
            CheckpointError: If it is neither true nor false.
        """
        stated = self.values.get("do_lower_case")
        if isinstance(stated, bool | None):
            return stated
        raise CheckpointError(
            f"{self.folder}: tokenizer_config.json has do_lower_case {stated!r:.50}, expected true or false."
        )

    @property
    def roles(self) -> dict[Role, str]:
        """The special tokens that are named: each a string, or an object with `content`."""
        named = {role: _name(self.values.get(f"{role}_token")) for role in get_args(Role)}
        return {role: name for role, name in named.items() if name is not None}


def read_settings(folder: Path) -> TokenizerSettings:
    """Read the files beside a vocabulary; missing ones say nothing.

    Raises:
        CheckpointError: If one is there and cannot be read.
    """
    values = {
        "tokenizer_class": _read(folder / "config.json").get("tokenizer_class"),
        **_read(folder / "special_tokens_map.json"),
        **_read(folder / "tokenizer_config.json"),
    }
    return TokenizerSettings(folder=folder, values=values, added=_read(folder / "added_tokens.json"))


def refuse_other_tokenizers(settings: TokenizerSettings) -> None:
    """Refuse settings of a tokenizer whose ids are not those of Google's WordPiece, whatever its vocabulary.

    Raises:
        CheckpointError: Naming all of them.
    """
    values = settings.values
    other = [
        *_other_classes(values),
        *(
            f"{key}={values[key]!r:.50}"
            for key, googles in _GOOGLES_VALUES.items()
            if values.get(key) not in googles
        ),
        *(
            f"{role}_token={name!r:.50} (expected {SPECIAL_TOKENS[role]})"
            for role, name in settings.roles.items()
            if name != SPECIAL_TOKENS[role]
        ),
    ]
    if other:
        raise CheckpointError(
            f"{settings.folder}: its tokenizer is not Google's WordPiece, as which its vocabulary would be "
            f"read: its configuration asks for {_some(other)}. Remove the setting if the model was trained "
            "without it; else bring a tokenizer.json that describes the tokenizer: transformers writes one "
            "for every tokenizer that has a fast form, and others are not supported."
        )


def refuse_other_rules(settings: TokenizerSettings, vocabulary: Vocabulary) -> None:
    """Refuse settings that do not go with a vocabulary: accents, and tokens that it lacks.

    Raises:
        CheckpointError: Naming all of them.
    """
    is_uncased = vocabulary.casing == "uncased"
    accents = settings.values.get("strip_accents")
    if accents not in (None, is_uncased):
        raise CheckpointError(
            f"{settings.folder}: tokenizer_config.json asks for strip_accents={accents!r:.50}, which "
            f"Google's {vocabulary.casing} WordPiece does not do. Remove the setting if the model was "
            "trained without it; else save the tokenizer with transformers, as a tokenizer.json that "
            "describes it."
        )
    added = list(dict.fromkeys(_added(settings, vocabulary)))
    if added:
        raise CheckpointError(
            f"{settings.folder}: tokens were added that are found in texts whole, as Google's WordPiece does "
            f"not do: {_some(added)}. Save the tokenizer with transformers, as a tokenizer.json that holds "
            "them; or, if the model was trained without them, remove them from tokenizer_config.json, "
            "special_tokens_map.json and added_tokens.json."
        )


def _other_classes(values: Mapping[str, Any]) -> Iterator[str]:
    name = values.get("tokenizer_class")
    if name is not None and not (isinstance(name, str) and _GOOGLES_CLASSES.fullmatch(name)):
        yield f"tokenizer_class={name!r:.50}"
    code = values.get("auto_map")
    if isinstance(code, dict) and "AutoTokenizer" in code:
        yield f"auto_map={code['AutoTokenizer']!r:.50} (code of its own)"


def _added(settings: TokenizerSettings, vocabulary: Vocabulary) -> Iterator[str]:
    """Added tokens that the vocabulary lacks, or that are not special: special ones are text in a text."""
    ids = vocabulary.ids()
    more = settings.values.get("additional_special_tokens")
    for token in more if isinstance(more, list) else ():
        if (name := _name(token)) not in ids:
            yield f"{name!r:.50}"
    for name, index in settings.added.items():
        if ids.get(name) != index:
            yield f"{name!r:.50}"
    decoder = settings.values.get("added_tokens_decoder")
    for token in decoder.values() if isinstance(decoder, dict) else ():
        is_special = isinstance(token, dict) and token.get("special") is True
        if not is_special or _name(token) not in ids:
            yield f"{_name(token)!r:.50}"


def _name(token: Any) -> str | None:
    name = token.get("content") if isinstance(token, dict) else token
    return name if isinstance(name, str) else None


def _some(items: list[str]) -> str:
    more = len(items) - _NUM_SHOWN
    return ", ".join(items[:_NUM_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _read(path: Path) -> dict[str, Any]:
    return read_json_object(path) if is_there(path) else {}
