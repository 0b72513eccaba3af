"""Tokenizers of any other kind: whatever a `tokenizer.json` describes, Unigram (SentencePiece) above all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from tokenizers import Tokenizer as RustTokenizer

from bertblocks.blocks import MIN_SEQUENCE_LENGTH
from bertblocks.errors import CheckpointError
from bertblocks.text.library import encode_texts, is_failure
from bertblocks.text.template import Template, template_of
from bertblocks.text.token_spans import TokenSpan
from bertblocks.text.vocabulary import Casing, Role

# NUL is taken out of every text, so no text can spell a name that has it.
_HIDING = "\0"
_MOST_SPECIAL = 8
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")
_USUAL_NAMES: Mapping[Role, tuple[str, ...]] = {
    "pad": ("<pad>", "[PAD]"),
    "unk": ("<unk>", "[UNK]"),
    "cls": ("<s>", "[CLS]", "<cls>"),
    "sep": ("</s>", "[SEP]", "<sep>"),
    "mask": ("<mask>", "[MASK]"),
}


class OtherModel:
    """Texts to ids as a `tokenizer.json` says, except that a text cannot contain a special token.

    The library keeps special tokens among a Unigram model's pieces, where "<s>" in a text would match them.
    They are hidden under names that no text can spell. See docs/numerics.md, "Tokenization".

    Args:
        definition: The text of `tokenizer.json`.
        roles: The names that the tokenizer configuration gives to the special tokens, as far as it does.
        origin: Where both come from, for messages.

    Raises:
        CheckpointError: If the library cannot read it, or it lacks a special token that `roles` names.
    """

    def __init__(self, definition: str, roles: Mapping[Role, str], origin: str) -> None:
        self._arguments = (definition, dict(roles), origin)
        parsed: dict[str, Any] = json.loads(definition)
        parsed.update(truncation=None, padding=None)
        ids = _ids_of(parsed)
        self._roles = _find_roles(ids, _unknown_name(parsed), roles, origin)
        self.vocabulary_size = max(ids.values()) + 1
        self.special_tokens: Mapping[Role, int] = {role: ids[name] for role, name in self._roles.items()}
        flagged = {token["content"] for token in _added(parsed) if token["special"]}
        _hide(parsed, flagged.union(self._roles.values()))
        self._library = _load(parsed, origin)
        self._library.encode_special_tokens = True
        self.template = _checked_template(self._library, self.vocabulary_size, origin)

    def __reduce__(self) -> tuple[type[OtherModel], tuple[str, dict[Role, str], str]]:
        return OtherModel, self._arguments

    @property
    def casing(self) -> Casing | None:
        """Not known: a normalizer may do anything."""
        return None

    def token(self, index: int) -> str:
        """The token of an id."""
        name = self._library.id_to_token(index)
        if name is None:
            raise IndexError(f"the vocabulary has no token with id {index}")
        return name.removeprefix(_HIDING)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, uncut and without special tokens."""
        return encode_texts(self._library, [_clean(text) for text in texts])

    def locate(self, text: str) -> list[TokenSpan]:
        """Where the tokens that encode gives lie in a text, as far as the library can tell."""
        kept = [index for index, char in enumerate(text) if char != "\0"]
        found = self._library.encode(_clean(text), add_special_tokens=False)
        spans = []
        for token_id, (start, end) in zip(found.ids, found.offsets, strict=True):
            is_inside = 0 <= start < end <= len(kept)
            place = (kept[start], kept[end - 1] + 1) if is_inside else (0, 0)
            spans.append(TokenSpan(token_id, *place))
        return spans

    def files(self) -> dict[str, bytes]:
        """What a saved folder holds besides the tokenizer configuration."""
        parsed = {**json.loads(self._arguments[0]), "truncation": None, "padding": None}
        return {"tokenizer.json": (json.dumps(parsed, ensure_ascii=False, indent=2) + "\n").encode()}

    def configuration(self) -> dict[str, object]:
        """What the saved tokenizer configuration says of this model."""
        return {f"{role}_token": name for role, name in self._roles.items()}


def _load(parsed: dict[str, Any], origin: str) -> RustTokenizer:
    try:
        return RustTokenizer.from_str(json.dumps(parsed, ensure_ascii=False))
    except BaseException as error:
        if not is_failure(error):
            raise
        raise CheckpointError(
            f"{origin}: not a tokenizer that the tokenizers library can read: {error!s:.300}"
        ) from error


def _checked_template(library: RustTokenizer, vocabulary_size: int, origin: str) -> Template:
    template = template_of(library, origin)
    if (largest := template.largest_id) >= vocabulary_size:
        raise CheckpointError(
            f"{origin}: its post-processor adds the id {largest}, but its tokens have the ids 0 to "
            f"{vocabulary_size - 1}. Save the tokenizer again."
        )
    sizes = (template.single.num_special, template.pair.num_special)
    if sizes[0] > MIN_SEQUENCE_LENGTH or sizes[1] > _MOST_SPECIAL:
        raise CheckpointError(
            f"{origin}: its post-processor adds {sizes[0]} special tokens to a text and {sizes[1]} to a "
            f"pair, expected at most {MIN_SEQUENCE_LENGTH} and {_MOST_SPECIAL}. Save the tokenizer again."
        )
    return template


def _clean(text: str) -> str:
    """Drop NUL and put U+FFFD for lone surrogates, which have no UTF-8 form."""
    if text.isascii() and "\0" not in text:
        return text
    return _NOT_TEXT.sub(lambda match: "" if match[0] == "\0" else "\ufffd", text)


def _added(parsed: Mapping[str, Any]) -> list[dict[str, Any]]:
    return parsed.get("added_tokens") or []


def _ids_of(parsed: Mapping[str, Any]) -> dict[str, int]:
    """The id of every token, added ones included."""
    vocabulary = parsed["model"]["vocab"]
    if isinstance(vocabulary, list):
        vocabulary = {entry[0]: index for index, entry in enumerate(vocabulary)}
    return {**vocabulary, **{token["content"]: token["id"] for token in _added(parsed)}}


def _unknown_name(parsed: Mapping[str, Any]) -> str | None:
    model = parsed["model"]
    if isinstance(model["vocab"], list) and model.get("unk_id") is not None:
        return cast("str", model["vocab"][model["unk_id"]][0])
    return cast("str | None", model.get("unk_token"))


def _find_roles(
    ids: Mapping[str, int], unknown: str | None, configured: Mapping[Role, str], origin: str
) -> dict[Role, str]:
    """The special token of each role: the model's unknown token, as configured, else by the usual names."""
    missing = [f"{role} {name!r}" for role, name in configured.items() if name not in ids]
    if missing:
        raise CheckpointError(
            f"{origin}: tokenizer_config.json or special_tokens_map.json names special tokens that it lacks: "
            f"{', '.join(missing)}. Remove the names if the model was trained without these tokens; else "
            "save the tokenizer again, so that it holds them."
        )
    # Byte-level models know every character: theirs may be named without being there.
    found: dict[Role, str] = {"unk": unknown} if unknown is not None and unknown in ids else {}
    for role, usual in _USUAL_NAMES.items():
        names = (configured[role],) if role in configured else usual
        present = [name for name in names if name in ids]
        if present:
            found.setdefault(role, present[0])
    return found


def _hide(parsed: dict[str, Any], special: set[str]) -> None:
    """Rename the special tokens in place; they keep their ids. The post-processor has ids of its own."""
    model = parsed["model"]
    if isinstance(model["vocab"], list):
        for entry in model["vocab"]:
            if entry[0] in special:
                entry[0] = _HIDING + entry[0]
    else:
        model["vocab"] = {_HIDING + t if t in special else t: i for t, i in model["vocab"].items()}
    if model.get("unk_token") is not None:
        model["unk_token"] = _HIDING + model["unk_token"]
    for token in _added(parsed):
        if token["content"] in special:
            token.update(content=_HIDING + token["content"], normalized=False)
