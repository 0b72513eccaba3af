"""Sentences that several commands say."""

from __future__ import annotations


def texts_in_windows(num_texts: int, sequence_length: int) -> str:
    """Say how many texts were read in windows; "" if none was."""
    if not num_texts:
        return ""
    return f"{num_texts:,} texts were read in windows of {sequence_length} tokens; none were cut."


def bad_rows(num_empty: int, num_dropped: int, result: str) -> str:
    """Say how many rows have no result, and how many are not there; "" if all have one."""
    if not num_empty and not num_dropped:
        return ""
    return (
        f"{num_empty:,} rows without a text have no {result}; {num_dropped:,} rows could not be read and are "
        "left out."
    )
