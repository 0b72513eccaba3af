"""Whether a `tokenizer.json` describes Google's WordPiece, or something that only looks like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertblocks.text.vocabulary import CONTINUATION, SPECIAL_TOKENS

_SINGLE = [("[CLS]", 0), ("A", 0), ("[SEP]", 0)]
_PAIR = [*_SINGLE, ("B", 1), ("[SEP]", 1)]


def google_lowercase(definition: Mapping[str, Any]) -> bool | None:
    """Say whether a `tokenizer.json` is Google's WordPiece in all that ids depend on, but for the word limit.

    Args:
        definition: The parsed file.

    Returns:
        Whether it lowercases; None if it is anything else, such as WordPiece with other normalization.
    """
    lower = stated_lowercase(definition)
    is_google = (
        lower is not None
        and _is_google_normalizer(definition["normalizer"], lower)
        and (definition.get("pre_tokenizer") or {}).get("type") == "BertPreTokenizer"
        and _is_google_model(definition.get("model") or {})
        and _is_bert_template(definition.get("post_processor") or {})
        and _adds_no_tokens(definition)
    )
    return lower if is_google else None


def stated_lowercase(definition: Mapping[str, Any]) -> bool | None:
    """Whether BERT's normalizer in a `tokenizer.json` lowercases; None where it has another one."""
    normalizer = definition.get("normalizer") or {}
    lower = normalizer.get("lowercase")
    return lower if normalizer.get("type") == "BertNormalizer" and isinstance(lower, bool) else None


def _is_google_normalizer(normalizer: Mapping[str, Any], lower: bool) -> bool:
    return (
        normalizer.get("clean_text") is True
        and normalizer.get("handle_chinese_chars") is True
        and normalizer.get("strip_accents") in (None, lower)
    )


def _is_google_model(model: Mapping[str, Any]) -> bool:
    return (
        model.get("type") == "WordPiece"
        and model.get("unk_token") == SPECIAL_TOKENS["unk"]
        and model.get("continuing_subword_prefix") == CONTINUATION
    )


def _is_bert_template(post_processor: Mapping[str, Any]) -> bool:
    if post_processor.get("type") == "TemplateProcessing":
        return (
            _places(post_processor.get("single")) == _SINGLE and _places(post_processor.get("pair")) == _PAIR
        )
    if post_processor.get("type") == "BertProcessing":
        ends = [post_processor.get("cls") or [None], post_processor.get("sep") or [None]]
        return [name for name, *_ in ends] == ["[CLS]", "[SEP]"]
    return False


def _places(items: list[dict[str, dict[str, Any]]] | None) -> list[tuple[Any, Any]]:
    return [(place.get("id"), place.get("type_id")) for item in items or () for place in item.values()]


def _adds_no_tokens(definition: Mapping[str, Any]) -> bool:
    """Added tokens that are special are text to us; one that is not would be found in texts."""
    vocabulary = definition["model"]["vocab"]
    return all(
        token["special"] and token["content"] in vocabulary for token in definition.get("added_tokens") or ()
    )
