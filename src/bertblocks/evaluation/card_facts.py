"""What a model card is written from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bertblocks.assembly import AssembledModel
from bertblocks.evaluation.evaluations import Evaluation
from bertblocks.evaluation.tokens import TokenStatistics

_LANGUAGE_COLUMNS = frozenset({"lang", "langs", "language", "languages", "locale"})
# "en", "swa", "zh-Hans", "eng_Latn": what begins with it is the language.
_LANGUAGE_CODE = re.compile(r"([a-z]{2,3})(?:[-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The rows that a model was trained on, in a few numbers.

    Attributes:
        num_rows: Rows that it learnt from.
        num_held_out: Rows that the best epoch was chosen by; 0 where there were none.
        label_counts: Rows that have each label; empty for numbers.
        tokens: Token counts of the rows that it learnt from.
        table: Name of the table's file; None where the rows were not in a table.
        validation_table: The same of the table that was held out; None where it was a part of the other.
        are_weighted: Whether rows counted differently in the loss.
    """

    num_rows: int
    num_held_out: int
    label_counts: Mapping[str, int] = field(default_factory=dict)
    tokens: TokenStatistics | None = None
    table: str | None = None
    validation_table: str | None = None
    are_weighted: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CardFacts:
    """All that a model card tells.

    Attributes:
        model: The model; of its weights only the shape is read.
        rows: What it was trained on; None where nobody knows.
        settings: How it was trained, names and values; empty where nobody knows.
        evaluation: Of the rows held out; None where there is none.
    """

    model: AssembledModel
    rows: TrainingRows | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None

    @property
    def takes(self) -> str:
        """What goes in, in the singular."""
        if self.model.tokenizer is None:
            return "list of token ids"
        return "pair of texts" if len(self.model.columns) == 2 else "text"

    @property
    def groups_are_languages(self) -> bool:
        """Whether the column of the groups says by its name that it holds languages."""
        group_by = None if self.evaluation is None else self.evaluation.group_by
        return group_by is not None and group_by.strip().casefold() in _LANGUAGE_COLUMNS

    @property
    def language_codes(self) -> list[str]:
        """Codes of the languages of the rows held out, as far as their column has codes."""
        if self.evaluation is None or not self.groups_are_languages:
            return []
        return language_codes(group.name for group in self.evaluation.groups)


def language_codes(names: Iterable[str]) -> list[str]:
    """The language codes that names of groups begin with; names that are no codes are passed over."""
    found = (_LANGUAGE_CODE.fullmatch(name.strip()) for name in names)
    return sorted({match[1] for match in found if match})
