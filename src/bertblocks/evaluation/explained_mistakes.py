"""The words that mattered in the worst mistakes, found by leaving each of them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bertblocks.blocks import Task
from bertblocks.evaluation.report_data import Mistake, WordWeight
from bertblocks.explanation import Explainer
from bertblocks.inference import Predictor

# Each word costs one more prediction of its text. With BERT-Base on two cores this is half a minute or less.
_MOST_CHARACTERS_PREDICTED = 1_000_000
_MOST_EXPLAINED = 100


def explain_mistakes(predictor: Predictor, mistakes: Sequence[Mistake]) -> tuple[Mistake, ...]:
    """Give mistakes their words, the worst first, for as long as it takes no more than half a minute or so.

    Args:
        predictor: What answered; in any precision.
        mistakes: The worst first. Those whose words are left out stay as they are.
    """
    model = predictor.model
    if model.tokenizer is None:
        return tuple(mistakes)
    chosen = _affordable(mistakes)
    pairs = [mistake.pair or "" for mistake in chosen] if len(model.columns) == 2 else None
    found = Explainer(predictor).explain(
        [mistake.text for mistake in chosen],
        pairs,
        label=_labels(model.task, chosen),
        method="leave-one-out",
    )
    explained = [
        replace(mistake, words=tuple(WordWeight(start=s, end=e, weight=w) for s, e, w in words.weights()))
        for mistake, words in zip(chosen, found, strict=True)
    ]
    return (*explained, *mistakes[len(chosen) :])


def _labels(task: Task, mistakes: Sequence[Mistake]) -> list[str] | None:
    """The answers that are explained; the most probable label where a text may have several."""
    if task.kind in ("classification", "binary"):
        return [mistake.answer for mistake in mistakes]
    return None


def _affordable(mistakes: Sequence[Mistake]) -> Sequence[Mistake]:
    spent = 0
    for count, mistake in enumerate(mistakes[:_MOST_EXPLAINED]):
        text = f"{mistake.text} {mistake.pair or ''}"
        # Where there are no spaces, about every second character is a word.
        num_words = max(len(text.split()), len(text) // 10)
        spent += num_words * len(text)
        if spent > _MOST_CHARACTERS_PREDICTED:
            return mistakes[:count]
    return mistakes[:_MOST_EXPLAINED]
