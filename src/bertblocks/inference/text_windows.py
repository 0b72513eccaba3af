"""Many texts in windows: each is tokenized, sorted by length and computed as a whole, the next one ahead."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bertblocks.inference.read_ahead import read_ahead
from bertblocks.text import Encoded

# Rows that are sorted by length and computed together: enough to sort well, few enough to hold.
WINDOW_ROWS = 4096
# Long texts fill a window before so many rows do: until a text is cut, its ids take some 40 bytes each.
WINDOW_CHARACTERS = 2_000_000


@contextmanager
def encoded_windows(
    encode: Callable[..., Encoded], texts: Any, pairs: Any = None
) -> Iterator[Iterator[Encoded]]:
    """Tokenize texts, or pairs of texts, window by window.

    Args:
        encode: Texts, and second texts if there are any → token ids.
        texts: As encode takes them.
        pairs: The second texts, or None.

    Yields:
        The windows' ids; at least one, of no text where there are none.

    Raises:
        DataError: As encode.
    """
    columns = [texts] if pairs is None else [texts, pairs]
    if not all(_is_column(column) for column in columns):
        yield iter([encode(*columns)])
        return
    columns = [list(column) for column in columns]
    windows = list(_windows(columns))

    def encoded() -> Generator[Encoded, None, None]:
        for window in windows:
            yield encode(*(column[window] for column in columns))

    if len(windows) == 1:
        # A thread would only cost time.
        yield encoded()
        return
    with read_ahead(encoded()) as ahead:
        yield ahead


def _is_column(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | bytes)


def _windows(columns: Sequence[list[Any]]) -> Iterator[slice]:
    """Where windows begin and end. What cannot be used is one window, so that encode names every such row."""
    num_rows = len(columns[0])
    are_texts = all(isinstance(text, str) for column in columns for text in column)
    if not are_texts or any(len(column) != num_rows for column in columns):
        yield slice(0, num_rows)
        return
    start = num_characters = 0
    for end, texts in enumerate(zip(*columns, strict=True)):
        num_characters += sum(map(len, texts))
        if end > start and (end - start == WINDOW_ROWS or num_characters > WINDOW_CHARACTERS):
            yield slice(start, end)
            start, num_characters = end, sum(map(len, texts))
    yield slice(start, num_rows)
