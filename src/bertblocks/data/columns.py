"""Columns in memory, from whatever holds them: lists, numpy, pandas, polars or arrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np

from bertblocks.data.values import first_few, is_missing, shown
from bertblocks.errors import DataError

_CONTAINERS = "a list, a tuple, a numpy array, a pandas or polars Series or an arrow array"


def column_values(column: Any, name: str) -> list[Any]:
    """Give a column's values as Python values, None for those that are missing (NaN, pandas' NA and NaT).

    Args:
        column: A list, tuple or other iterable of values, a one-dimensional numpy array, a pandas or polars
            Series, or an arrow array.
        name: What the column is, for messages.

    Raises:
        DataError: If it is a single value, a table, or has more than one dimension.
    """
    if isinstance(column, (str, bytes)):
        raise DataError(
            f"{name} is a single {type(column).__name__}, not a column: wrap it in a list, [...]."
        )
    if _is_frame(column):
        raise DataError(
            f"{name} is a table ({type(column).__name__}), but one column was expected: pick one by name."
        )
    if getattr(column, "ndim", 1) != 1:
        raise DataError(f"{name} has the shape {tuple(column.shape)}, but one dimension was expected.")
    return [_python_value(value) for value in _items(column, name)]


def text_columns(texts: Any) -> tuple[list[str], list[str] | None]:
    """Give a column of texts, or the two columns of a column of pairs.

    Args:
        texts: A column of str, or of pairs (a, b); or a numpy array or table with two columns.

    Returns:
        The texts, or first texts, and the second texts or None.

    Raises:
        DataError: If it is a single text, or rows are neither text nor pair; the first few by their index.
    """
    parts = _frame_columns(texts)
    if parts is not None and len(parts) == 2:
        first, second = (column_values(part, f"texts, column {i}") for i, part in enumerate(parts))
        _check_texts([*zip(first, second, strict=True)], pairs=True)
        return first, second
    if parts is not None and len(parts) != 1:
        raise DataError(f"texts has {len(parts)} columns; expected one of texts, or two of pairs.")
    values = column_values(texts if parts is None else parts[0], "texts")
    pairs = bool(values) and _is_pair_like(values[0])
    _check_texts(values, pairs=pairs)
    if not pairs:
        return values, None
    return [str(pair[0]) for pair in values], [str(pair[1]) for pair in values]


def _is_frame(column: Any) -> bool:
    return hasattr(column, "columns") or isinstance(column, dict)


def _frame_columns(texts: Any) -> list[Any] | None:
    """The columns of a table or two-dimensional array; None if it is neither."""
    if hasattr(texts, "iloc") and hasattr(texts, "columns"):
        return [texts.iloc[:, i] for i in range(texts.shape[1])]
    if hasattr(texts, "get_columns"):
        return list(texts.get_columns())
    if hasattr(texts, "column_names") and hasattr(texts, "columns"):
        return list(texts.columns)
    if isinstance(texts, np.ndarray) and texts.ndim == 2:
        return list(texts.T)
    return None


def _items(column: Any, name: str) -> Iterable[Any]:
    for method in ("to_pylist", "tolist", "to_list"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    if isinstance(column, Iterable) and not isinstance(column, Set):
        return column
    raise DataError(f"{name} is {shown(column)}, but a column was expected: {_CONTAINERS}.")


def _python_value(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, np.ndarray):
        value = value.tolist()
    # A blank text is a text here; only a missing one is None.
    return None if not isinstance(value, str) and is_missing(value) else value


def _is_pair_like(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _check_texts(values: Sequence[Any], *, pairs: bool) -> None:
    problems = [
        f"texts[{i}] is {'missing' if value is None else shown(value)}"
        for i, value in enumerate(values)
        if not (_is_pair(value) if pairs else isinstance(value, str))
    ]
    if problems:
        expected = "a pair of two str, as the first row is" if pairs else "a str"
        raise DataError(f"{first_few(problems)}. Every row must be {expected}.")


def _is_pair(value: Any) -> bool:
    return _is_pair_like(value) and len(value) == 2 and all(isinstance(text, str) for text in value)
