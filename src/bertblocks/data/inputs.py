"""What a cell of a column that goes into a model must hold, and what it becomes."""

from __future__ import annotations

from typing import Any

from bertblocks.data.batches import Reason
from bertblocks.data.token_ids import InputColumn, ModelInput, token_ids
from bertblocks.data.values import is_missing, shown


def input_problem(value: Any, column: InputColumn) -> tuple[Reason, str] | None:
    """Why a cell cannot go into a model, in words that read on after "row 17, column 'text': "."""
    return text_problem(value) if isinstance(column, str) else column.problem(value)


def text_problem(value: Any) -> tuple[Reason, str] | None:
    """Why a cell is no text; a number counts as one."""
    if is_missing(value):
        return "missing value", "the text is missing" if value is None else "the text is blank"
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return None
    return "wrong type", f"expected a text, found {shown(value)}"


def input_value(value: Any, column: InputColumn) -> ModelInput:
    """A cell without problems as what a model takes."""
    return str(value) if isinstance(column, str) else token_ids(value)
