"""Rows that are explained together: their token ids, and the words that these belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bertblocks.text import Encoded, LocatedText, Word


def joined(rows: Sequence[Encoded]) -> Encoded:
    """Rows of one tokenizer, one after another."""
    windows = [window for row in rows for window in row.windows or ()]
    return Encoded(
        ids=[ids for row in rows for ids in row.ids],
        num_first=np.concatenate([row.num_first for row in rows]),
        num_tokens=np.concatenate([row.num_tokens for row in rows]),
        truncated=np.concatenate([row.truncated for row in rows]),
        num_unknown=np.concatenate([row.num_unknown for row in rows]),
        windows=tuple(windows) if windows else None,
    )


def located_ids(row: Encoded, text: str) -> LocatedText:
    """Token ids that never were a text: each id is a word of the text that spells them out.

    Args:
        row: One row.
        text: Its ids in decimals, with a space between them.
    """
    words, start = [], 0
    for digits in text.split(" "):
        words.append(Word(text=digits, start=start, end=start + len(digits)))
        start += len(digits) + 1
    return LocatedText(
        encoded=row,
        words=tuple(words),
        word_of_token=np.arange(len(words), dtype=np.int32),
        is_special=np.zeros(len(words), dtype=np.bool_),
    )


def without_each_word(text: LocatedText, words: range) -> Encoded:
    """The row once for each of some words, without the tokens of that word."""
    return _kept(text, [text.word_of_token != word for word in words])


def _kept(text: LocatedText, kept: Sequence[NDArray[np.bool_]]) -> Encoded:
    """The row once for each mask of the tokens that are kept, everything else left out."""
    (ids,), num_first = text.encoded.ids, int(text.encoded.num_first[0])
    lengths = np.array([mask.sum() for mask in kept], dtype=np.int32)
    windows = None
    if text.encoded.windows is not None:
        starts = np.cumsum((0, *text.encoded.windows[0]))[:-1]
        windows = tuple(tuple(np.add.reduceat(mask.astype(np.int64), starts).tolist()) for mask in kept)
    return Encoded(
        ids=[ids[mask] for mask in kept],
        num_first=np.array([mask[:num_first].sum() for mask in kept], dtype=np.int32),
        num_tokens=lengths,
        truncated=np.zeros(len(kept), dtype=np.bool_),
        num_unknown=np.zeros(len(kept), dtype=np.int32),
        windows=windows,
    )
