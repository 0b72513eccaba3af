"""Texts → rows of token ids, in the worker: as plain Python, which the server keeps without numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from bertblocks.serving.messages import Asked, Refusal, Row
from bertblocks.text import Encoded, Tokenizer
from bertblocks.text.library import is_failure

# Leaving out each word of a text costs about its length squared. More tokens are not weighed.
LONGEST_EXPLAINED = 256


class _Span(Protocol):
    start: int
    end: int


def tokenize(tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Row | Refusal]:
    """Tokenize texts; what the tokenizer cannot read is refused by itself.

    Args:
        tokenizer: The model's.
        asked: Texts of any kind.

    Returns:
        A row, or a refusal, for each text.
    """
    try:
        return _tokenize(tokenizer, asked)
    except BaseException as error:
        if not is_failure(error):
            raise
        if len(asked) == 1:
            # Not in its own words: they may hold the text.
            return [Refusal(f"The tokenizer cannot read this text ({type(error).__name__}).")]
        return [row for text in asked for row in tokenize(tokenizer, [text])]


def encoded_rows(rows: Sequence[Row]) -> Encoded:
    """Rows as the encoder's packing takes them."""
    windows = [row.windows for row in rows]
    return Encoded(
        ids=[np.frombuffer(row.ids, dtype=np.int32) for row in rows],
        num_first=np.array([row.num_first for row in rows], dtype=np.int32),
        num_tokens=np.array([row.num_tokens for row in rows], dtype=np.int32),
        truncated=np.array([row.truncated for row in rows], dtype=np.bool_),
        num_unknown=np.array([row.num_unknown for row in rows], dtype=np.int32),
        windows=None if any(row is None for row in windows) else tuple(row or () for row in windows),
    )


def _tokenize(tokenizer: Tokenizer, asked: Sequence[Asked]) -> list[Row | Refusal]:
    found: list[Row | Refusal | None] = [None] * len(asked)
    groups: dict[Any, list[int]] = {}
    for index, text in enumerate(asked):
        groups.setdefault((text.want, text.pair is not None, text.from_left), []).append(index)
    for (want, is_pair, from_left), indices in groups.items():
        texts = [asked[index].text for index in indices]
        pairs = [asked[index].pair or "" for index in indices] if is_pair else None
        rows = _from_left(tokenizer, texts) if from_left and pairs is None else _rows(tokenizer, texts, pairs)
        for index, row in zip(indices, rows, strict=True):
            if want == "tokens":
                tokens = _tokens(tokenizer, row, asked[index])
                found[index] = row._replace(value=tokens)
            else:
                found[index] = _explained(row) if want == "explain" else row
    return cast("list[Row | Refusal]", found)


def _rows(tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Row]:
    encoded = tokenizer.encode(texts, pairs)
    return [
        Row(
            ids=encoded.ids[index].tobytes(),
            num_first=int(encoded.num_first[index]),
            num_tokens=int(encoded.num_tokens[index]),
            truncated=bool(encoded.truncated[index]),
            num_unknown=int(encoded.num_unknown[index]),
            windows=None if encoded.windows is None else encoded.windows[index],
            cost=len(encoded.ids[index]),
        )
        for index in range(len(encoded))
    ]


def _from_left(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Row]:
    """Rows that have lost their beginning: the last of windows that do not overlap ends with the text."""
    if tokenizer.windows == "slide":
        return _rows(tokenizer, texts, None)
    room = tokenizer.sequence_length - tokenizer.num_special_tokens(pair=False)
    unknown = tokenizer.special_tokens.get("unk", -1)
    rows = []
    for row in _rows(tokenizer.with_windows("slide", room), texts, None):
        windows = row.windows or ()
        ids = np.frombuffer(row.ids, dtype=np.int32)[-windows[-1] :]
        rows.append(
            row._replace(
                ids=ids.tobytes(),
                num_first=len(ids),
                truncated=len(windows) > 1,
                num_unknown=int((ids == unknown).sum()),
                windows=None,
                cost=len(ids),
            )
        )
    return rows


def _explained(row: Row) -> Row | Refusal:
    if row.cost > LONGEST_EXPLAINED:
        return Refusal(
            f"The text has {row.cost:,} tokens; which words mattered is told of texts of up to "
            f"{LONGEST_EXPLAINED} tokens."
        )
    return row._replace(cost=row.cost * row.cost)


def _tokens(tokenizer: Tokenizer, row: Row, asked: Asked) -> list[dict[str, Any]]:
    """The tokens that the model reads of a text, as TEI tells them."""
    special = {index for role, index in tokenizer.special_tokens.items() if role != "unk"}
    ids = np.frombuffer(row.ids, dtype=np.int32).tolist()
    spans = iter(_spans(tokenizer, asked))
    told = []
    for index in ids:
        is_special = index in special
        span = None if is_special or row.windows is not None else next(spans, None)
        if is_special and not asked.special:
            continue
        told.append(
            {
                "id": index,
                "text": tokenizer.token(index),
                "special": is_special,
                "start": None if span is None else span.start,
                "stop": None if span is None else span.end,
            }
        )
    return told


def _spans(tokenizer: Tokenizer, asked: Asked) -> Sequence[_Span]:
    """Where the tokens lie in a text; nothing where that is not known."""
    # A tokenizer need not know it.
    spans: Callable[[str], Sequence[_Span]] | None = getattr(tokenizer, "token_spans", None)
    if spans is None or asked.pair is not None or asked.from_left:
        return ()
    return spans(asked.text)
