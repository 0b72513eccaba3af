"""What a report is made of: an evaluation, its rows as columns, the worst mistakes, facts about the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bertblocks.blocks import Task
from bertblocks.evaluation.evaluated_rows import EvaluatedRows as EvaluatedRows
from bertblocks.evaluation.evaluations import Evaluation


@dataclass(frozen=True, kw_only=True)
class WordWeight:
    """A word of a text, and what it did to the answer.

    Attributes:
        start: Where it begins in the text, in characters.
        end: Where it ends.
        weight: Share in the given label's logit: positive words speak for the answer.
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A row that was answered wrongly.

    Attributes:
        row: Number of the data row in its table, from 1.
        text: Its text, at most some thousand characters of it; token ids as text, for a model of ids.
        pair: The second text of a pair.
        truth: The true label, the labels joined by ", ", or the number, as people read it.
        answer: What the model said, likewise.
        confidence: Probability of the answer, 0 to 1 (several labels: the largest probability that is on the
            wrong side); for regression the size of the error.
        group: The row's group.
        words: The words that mattered; empty where they were not computed.
    """

    row: int
    text: str
    pair: str | None
    truth: str
    answer: str
    confidence: float
    group: str | None = None
    words: tuple[WordWeight, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leakage:
    """Texts of the evaluated table that stand in the training table too.

    Attributes:
        num_rows: Rows of the evaluated table with such a text.
        num_distinct: Different texts among them.
        num_repeated: Rows whose text an earlier row of the evaluated table has.
        num_other_truth: Of num_rows, those whose truth is another one in training.
        compared: Whether the training table was at hand; where not, only num_repeated is known.
    """

    num_rows: int
    num_distinct: int
    num_repeated: int
    num_other_truth: int
    compared: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """All that report.html shows.

    Attributes:
        title: For instance "topics on test.csv".
        task: What was asked; holds labels, thresholds and temperature.
        evaluation: The figures; evaluation.intervals and evaluation.calibration among them.
        rows: The rows that they were computed from.
        mistakes: The most confident first.
        num_mistakes: How many there are in all.
        leakage: Repeated texts; None where nobody looked.
        history: Lines of training.jsonl, steps and epochs; empty where there is no training to tell of.
        facts: Sections of names and values about the run: settings, versions, hashes, machine.
    """

    title: str
    task: Task
    evaluation: Evaluation
    rows: EvaluatedRows
    mistakes: Sequence[Mistake] = ()
    num_mistakes: int = 0
    leakage: Leakage | None = None
    history: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
