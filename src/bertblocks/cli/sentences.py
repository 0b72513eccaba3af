"""Sentences that several commands say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertblocks._words import counted

if TYPE_CHECKING:
    from bertblocks.text import Tokenizer

_SAMPLE = "The Quick Brown Fox"


def casing_in_words(tokenizer: Tokenizer) -> str:
    """Whether a tokenizer keeps capitals: as its vocabulary states, or else as it treats some."""
    if tokenizer.casing is not None:
        return tokenizer.casing
    found = tokenizer.encode([_SAMPLE, _SAMPLE.lower()])
    if list(found.ids[0]) != list(found.ids[1]):
        return "cased"
    return "casing unknown" if found.num_unknown.any() else "uncased"


def texts_in_windows(num_texts: int, sequence_length: int) -> str:
    """Say how many texts were read in windows; "" if none was."""
    if not num_texts:
        return ""
    texts = counted(num_texts, "text was", "texts were")
    return f"{texts} read in windows of {sequence_length} tokens; none were cut."


def unknown_tokens(num_tokens: int, share: float) -> str:
    """Say how many tokens a vocabulary does not know; "" if it knows all."""
    if not num_tokens:
        return ""
    tokens = counted(num_tokens, f"token ({share:.1%}) is", f"tokens ({share:.1%}) are")
    return f"{tokens} unknown to the vocabulary."
