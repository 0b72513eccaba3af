"""Lists of integers in place of texts: what such a cell must hold, and what becomes of it.

Nothing is added to a list and nothing is cut: [CLS] and [SEP] belong to a tokenizer's vocabulary, and a list
that is too long for the position table is a mistake that its owner should know of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import MAX_SEQUENCE_LENGTH, MIN_SEQUENCE_LENGTH
from bertblocks.data.batches import Reason, Table
from bertblocks.data.values import first_few, is_missing, shown
from bertblocks.errors import DataError
from bertblocks.text import Encoded

TokenIds = NDArray[np.int32]
"""The ids of one row."""

ModelInput = str | TokenIds
"""What one row of a model's first column holds: a text, or token ids."""

_FORMATS_WITH_LISTS = ("JSON Lines", "Parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenIdsColumn:
    """A column of integer lists, and what its lists must be.

    Attributes:
        name: Of the column.
        vocabulary_size: Ids are 0 to this less 1.
    """

    name: str
    vocabulary_size: int

    def check_table(self, table: Table) -> None:
        """Refuse a table whose format has no lists.

        Raises:
            DataError: If it is CSV or Excel.
        """
        if table.format not in _FORMATS_WITH_LISTS:
            raise DataError(
                f"{table.path} is {table.format}, whose cells cannot be lists of integers; the column of ids "
                f"{self.name!r} must come from JSON Lines or Parquet. With pandas: "
                'frame.to_json("table.jsonl", orient="records", lines=True).'
            )

    def problem(self, value: Any) -> tuple[Reason, str] | None:
        """What is wrong with a cell, if anything is; reads on after "row 17, column 'ids': "."""
        if value is None or (not isinstance(value, str) and is_missing(value)):
            return "missing value", "the list of token ids is missing"
        return _list_problem(value) or _length_problem(value) or _id_problem(value, self.vocabulary_size)


InputColumn = str | TokenIdsColumn
"""A column of texts by its name, or of token ids."""


def column_name(column: InputColumn) -> str:
    """The name of a column of either kind."""
    return column if isinstance(column, str) else column.name


def token_ids(value: Any) -> TokenIds:
    """A cell without problems as an array."""
    return np.asarray(value, dtype=np.int32)


def encode_token_ids(rows: Iterable[Any], vocabulary_size: int) -> Encoded:
    """Take lists of ids as what a tokenizer would have given.

    Args:
        rows: A list, tuple or array of integers a row; a two-dimensional array is so many rows.
        vocabulary_size: Ids are 0 to this less 1.

    Raises:
        DataError: If rows cannot be used: the first few are named with what is wrong.
    """
    if isinstance(rows, str | bytes) or not isinstance(rows, Iterable):
        raise DataError(f"token ids are {shown(rows)}, but a list of lists of integers was expected.")
    lists = list(rows)
    column = TokenIdsColumn(name="token ids", vocabulary_size=vocabulary_size)
    found = ((index, column.problem(row)) for index, row in enumerate(lists))
    if problems := [f"row {index}: {problem[1]}" for index, problem in found if problem]:
        raise DataError(f"These token ids cannot be used: {first_few(problems)}.")
    lengths = np.fromiter(map(len, lists), dtype=np.int32, count=len(lists))
    return Encoded(
        ids=[token_ids(row) for row in lists],
        num_first=lengths,
        num_tokens=lengths,
        truncated=np.zeros(len(lists), dtype=np.bool_),
        num_unknown=np.zeros(len(lists), dtype=np.int32),
    )


def as_text(value: ModelInput) -> str:
    """A row as a text for models of words: ids become words of digits."""
    return value if isinstance(value, str) else " ".join(map(str, value.tolist()))


def _list_problem(value: Any) -> tuple[Reason, str] | None:
    is_array = isinstance(value, np.ndarray) and value.ndim == 1
    if not is_array and not isinstance(value, list | tuple):
        return "wrong type", f"expected a list of integers, found {shown(value)}"
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.integer):
        return None
    for position, item in enumerate(value, 1):
        if not isinstance(item, int | np.integer) or isinstance(item, bool):
            return "wrong type", f"item {position} of the list is {shown(item)}, but must be an integer"
    return None


def _length_problem(value: Sequence[Any] | NDArray[Any]) -> tuple[Reason, str] | None:
    if MIN_SEQUENCE_LENGTH <= len(value) <= MAX_SEQUENCE_LENGTH:
        return None
    expected = f"must have {MIN_SEQUENCE_LENGTH} to {MAX_SEQUENCE_LENGTH}; nothing is added or cut"
    return "wrong length", f"the list has {len(value)} integers, but {expected}"


def _id_problem(value: Sequence[Any] | NDArray[Any], vocabulary_size: int) -> tuple[Reason, str] | None:
    for position, item in enumerate(value, 1):
        if not 0 <= item < vocabulary_size:
            return (
                "id out of range",
                f"item {position} of the list is {item}, but ids run from 0 to {vocabulary_size - 1} "
                f"(vocabulary size {vocabulary_size:,})",
            )
    return None
