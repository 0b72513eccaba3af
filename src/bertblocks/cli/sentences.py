"""Sentences that several commands say."""

from __future__ import annotations

from bertblocks._words import counted


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
