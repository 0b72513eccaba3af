"""The rows that a model was most sure of, and wrong about."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.data import Example, as_text
from bertblocks.evaluation.report_data import Mistake
from bertblocks.inference import Answer, Predictions, rounded, targets_in_unit

NUM_MISTAKES = 200
_MOST_CHARACTERS = 2_000


class Mistakes:
    """Keeps the worst mistakes of any number of rows.

    Args:
        task: What was asked. Of numbers every row that is not hit exactly counts, by the size of its error.
        most: How many are kept.
    """

    def __init__(self, task: Task, most: int = NUM_MISTAKES) -> None:
        self.num_found = 0
        self._task = task
        self._most = most
        self._kept: list[tuple[float, int, Mistake]] = []

    def add(self, examples: Sequence[Example], targets: NDArray[Any], found: Predictions) -> None:
        """Look at some rows.

        Args:
            examples: The rows.
            targets: Their truth, as encode_targets gives it.
            found: Their predictions.
        """
        confidence = _confidence(self._task, targets, found.scores)
        self.num_found += int(np.count_nonzero(confidence > 0))
        # Only the worst of these rows can be among the worst of all.
        for index in np.argsort(-confidence, kind="stable")[: self._most].tolist():
            sureness = float(confidence[index])
            if sureness <= 0 or (len(self._kept) == self._most and sureness <= self._kept[0][0]):
                break
            mistake = self._mistake(examples[index], targets[index], found, index, sureness)
            # Of equals the earlier row is the worse one.
            push = heapq.heappush if len(self._kept) < self._most else heapq.heappushpop
            push(self._kept, (sureness, -mistake.row, mistake))

    def worst(self) -> tuple[Mistake, ...]:
        """Those that are kept, the worst first."""
        return tuple(mistake for *_, mistake in sorted(self._kept, key=lambda entry: entry[:2], reverse=True))

    def _mistake(
        self, example: Example, target: Any, found: Predictions, index: int, confidence: float
    ) -> Mistake:
        return Mistake(
            row=example.row,
            text=as_text(example.text)[:_MOST_CHARACTERS],
            pair=None if example.pair is None else example.pair[:_MOST_CHARACTERS],
            truth=in_words(self._task, true_answer(self._task, target)),
            answer=in_words(self._task, found[index].answer),
            confidence=confidence,
            group=example.group,
        )


def _confidence(task: Task, targets: NDArray[Any], scores: NDArray[Any]) -> NDArray[np.float64]:
    """How sure each wrong answer was; 0 where it is right. For numbers the size of the error."""
    if task.kind == "regression":
        error: NDArray[np.float64] = np.abs(scores.astype(np.float64) - targets_in_unit(task, targets))
        return error
    if task.kind == "multilabel":
        given = scores >= np.asarray(task.thresholds or 0.5, dtype=scores.dtype)
        on_wrong_side = np.where(targets > 0, 1 - scores, scores).astype(np.float64)
        return np.asarray(np.where(given != (targets > 0), on_wrong_side, 0.0).max(axis=1))
    wrong = scores.argmax(axis=1) != targets
    return np.where(wrong, scores.max(axis=1).astype(np.float64), 0.0)


def true_answer(task: Task, target: Any) -> Answer:
    """The truth of one row, as a prediction would say it.

    Args:
        task: What was asked.
        target: One entry of what encode_targets gives.
    """
    if task.kind == "regression":
        return float(targets_in_unit(task, np.asarray(target)))
    if task.kind == "multilabel":
        return tuple(label for label, on in zip(task.labels, target, strict=True) if on)
    return task.labels[int(target)]


def in_words(task: Task, answer: Answer) -> str:
    """An answer as people read it."""
    if isinstance(answer, float):
        return f"{rounded(task, answer, digits=3):g}"
    return answer if isinstance(answer, str) else ", ".join(answer) or "(none)"
