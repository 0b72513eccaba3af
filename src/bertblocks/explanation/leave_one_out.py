"""What becomes of the answer when a word is left out: an explanation that needs no gradients.

A word's effect is the output with it less the output without it, so a word that speaks for the label has a
positive one. Its tokens are taken out, and those behind it move up. Any model can be asked so, in every
precision; it costs one prediction for each word.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.explanation.outputs import explained_outputs
from bertblocks.explanation.rows import joined, without_each_word
from bertblocks.text import Encoded, LocatedText

_LOG = logging.getLogger(__name__)

# Of a text of 500 words without one each there are 250,000: so many are held at once.
_MOST_TOKENS = 500_000
# Minutes of work, which nobody may have expected of a few long texts.
_MANY_TOKENS = 2_000_000


class _Part(NamedTuple):
    """Some words of one of the texts."""

    text: int
    words: range


def leave_one_out(
    logits_of: Callable[[Encoded], NDArray[np.float32]],
    task: Task,
    texts: Sequence[LocatedText],
    columns: NDArray[np.int64],
    outputs: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """The effect of every word of every text.

    Args:
        logits_of: The model: rows → logits.
        task: What it was asked.
        texts: Rows with their words.
        columns: The label that is explained of each, by its place.
        outputs: What explained_outputs gives for the whole texts.

    Returns:
        For each text one number a word, float64, in the unit of the outputs.
    """
    _tell_of_long_work(texts)
    effects = [np.empty(len(text.words)) for text in texts]
    for group in _groups(texts):
        counts = [len(part.words) for part in group]
        rows = np.repeat([part.text for part in group], counts)
        logits = logits_of(joined([without_each_word(texts[part.text], part.words) for part in group]))
        found = outputs[rows] - explained_outputs(task, logits, columns[rows])
        for part, own in zip(group, np.split(found, np.cumsum(counts)[:-1]), strict=True):
            effects[part.text][part.words.start : part.words.stop] = own
    return effects


def _groups(texts: Sequence[LocatedText]) -> Iterator[list[_Part]]:
    """All words, in groups whose rows without a word each are so many tokens together."""
    group: list[_Part] = []
    num_tokens = 0
    for index, text in enumerate(texts):
        length = len(text.word_of_token)
        step = max(1, _MOST_TOKENS // max(1, length))
        for start in range(0, len(text.words), step):
            part = _Part(index, range(start, min(start + step, len(text.words))))
            cost = len(part.words) * length
            if group and num_tokens + cost > _MOST_TOKENS:
                yield group
                group, num_tokens = [], 0
            group.append(part)
            num_tokens += cost
    if group:
        yield group


def _tell_of_long_work(texts: Sequence[LocatedText]) -> None:
    num_tokens = sum(len(text.words) * len(text.word_of_token) for text in texts)
    if num_tokens > _MANY_TOKENS:
        longest = max(texts, key=lambda text: len(text.words))
        _LOG.warning(
            "Leaving out every word takes predictions of %s tokens, as the longest text has %s words: "
            "method='integrated-gradients' is quicker.",
            f"{num_tokens:,}",
            f"{len(longest.words):,}",
        )
