"""Sentences that several commands say."""

from __future__ import annotations


def texts_in_windows(num_texts: int, sequence_length: int) -> str:
    """Say how many texts were read in windows; "" if none was."""
    if not num_texts:
        return ""
    return f"{num_texts:,} texts were read in windows of {sequence_length} tokens; none were cut."
