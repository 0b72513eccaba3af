"""What becomes of the answer when a word is left out: an explanation that needs no gradients.

A word's effect is the output with it less the output without it, so a word that speaks for the label has a
positive one. Its tokens are taken out, and those behind it move up. Any model can be asked so, in every
precision; it costs one prediction for each word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.explanation.outputs import explained_outputs
from bertblocks.explanation.rows import joined, without_each_word
from bertblocks.text import Encoded, LocatedText

# Of a text of 500 words without one each there are 250,000: so many are held at once.
_MOST_TOKENS = 500_000


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
    effects: list[NDArray[np.float64]] = []
    for group in _groups(texts):
        chosen = [text for text in group if text.words]
        begin = len(effects)
        num_words = [len(text.words) for text in group]
        if chosen:
            logits = logits_of(joined([without_each_word(text) for text in chosen]))
            own = slice(begin, begin + len(group))
            without = explained_outputs(task, logits, np.repeat(columns[own], num_words))
            found = np.repeat(outputs[own], num_words) - without
        else:
            found = np.empty(0)
        effects += np.split(found, np.cumsum(num_words)[:-1])
    return effects


def _groups(texts: Sequence[LocatedText]) -> Iterator[Sequence[LocatedText]]:
    """Texts whose rows without a word are so many tokens together."""
    start = num_tokens = 0
    for end, text in enumerate(texts):
        cost = len(text.words) * len(text.word_of_token)
        if end > start and num_tokens + cost > _MOST_TOKENS:
            yield texts[start:end]
            start, num_tokens = end, 0
        num_tokens += cost
    if start < len(texts):
        yield texts[start:]
