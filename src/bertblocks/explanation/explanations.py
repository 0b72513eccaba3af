"""What an explanation says: the words of a text, and what each did to the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bertblocks.explanation.outputs import Unit
from bertblocks.inference import Answer

Method = Literal["integrated-gradients", "leave-one-out", "both", "gradient"]
Baseline = Literal["pad", "mask", "mean"]
# Of fewer words an order says nothing.
_FEWEST_WORDS_IN_ORDER = 3


@dataclass(frozen=True, kw_only=True)
class ExplainedWord:
    """A word, and what it did to the output that is explained.

    Attributes:
        text: The word, as it stands in the text.
        start: Its first character in the text, counted from 0.
        end: The character after its last one.
        in_pair: Whether it stands in the second text of a pair.
        attribution: What it adds, by gradients: positive speaks for the label, or raises the number. None
            where gradients were not asked for.
        leave_one_out: How much the output falls without it, likewise; None where that was not asked for.
    """

    text: str
    start: int
    end: int
    in_pair: bool = False
    attribution: float | None = None
    leave_one_out: float | None = None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a model answers as it does, word by word.

    Attributes:
        text: What was asked about; token ids as decimals with spaces.
        pair: The second text of a pair.
        answer: The label, labels or number that the model gives.
        label: The label that is explained: the most probable one, unless another was named. None for a
            number.
        probability: Of that label; None for a number.
        output: What the words add up to: the label's log-odds, or the number in its own unit.
        unit: Which of the two.
        words: Those that the model has read, in order.
        method: How the words' shares were found.
        truncated: Whether the text was too long and its end not read.
        num_tokens: Tokens of the text before it was cut.
        baseline: What stood in the words' place at the way's beginning; None without gradients, as are the
            following.
        baseline_output: The output there.
        attributed: What all words add together.
        residue: The part of output - baseline_output that is in no word: an error of the integration.
        steps: Points of the way at which a gradient was taken.
        is_complete: Whether the integration is within the tolerance, on every piece of the way.
    """

    text: str
    pair: str | None
    answer: Answer
    label: str | None
    probability: float | None
    output: float
    unit: Unit
    words: tuple[ExplainedWord, ...]
    method: Method
    truncated: bool
    num_tokens: int
    baseline: Baseline | None = None
    baseline_output: float | None = None
    attributed: float | None = None
    residue: float | None = None
    steps: int | None = None
    is_complete: bool | None = None

    @property
    def relative_residue(self) -> float | None:
        """The residue's size by that of the difference of the outputs; None where that is 0 or not known."""
        if self.residue is None or self.baseline_output is None or self.output == self.baseline_output:
            return None
        return abs(self.residue / (self.output - self.baseline_output))

    @property
    def agreement(self) -> float | None:
        """Spearman's rank correlation of the words' attributions and leave-one-out effects, -1 to 1.

        None where one of them was not asked for, or there is no order to compare: fewer than 3 words, or all
        alike.
        """
        pairs = [(word.attribution, word.leave_one_out) for word in self.words]
        columns = [
            [value for value in column if value is not None] for column in zip(*pairs, strict=True)
        ] or [[], []]
        if len(columns[0]) != len(columns[1]) or len(columns[0]) < _FEWEST_WORDS_IN_ORDER:
            return None
        return _rank_correlation(*columns)

    def weights(self, *, in_pair: bool = False) -> list[tuple[int, int, float]]:
        """Start, end and weight of each word: what a page needs to shade them.

        Args:
            in_pair: Those of the second text.

        Returns:
            Attributions, or the effects of leaving the words out where there are no others.
        """
        return [
            (word.start, word.end, weight_of(word) or 0.0) for word in self.words if word.in_pair == in_pair
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON's types."""
        facts = asdict(self)
        words = facts.pop("words")
        if isinstance(self.answer, tuple):
            facts["answer"] = list(self.answer)
        return {
            **facts,
            "relative_residue": self.relative_residue,
            "agreement": self.agreement,
            "words": list(words),
        }


def weight_of(word: ExplainedWord) -> float | None:
    """A word's attribution, or its leave-one-out effect where it has no other."""
    return word.leave_one_out if word.attribution is None else word.attribution


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    # Imported where it is needed: loading scipy.stats takes as long as an explanation.
    from scipy.stats import spearmanr

    if len(set(first)) == 1 or len(set(second)) == 1:
        return None
    found = float(spearmanr(first, second).statistic)
    return None if math.isnan(found) else found
