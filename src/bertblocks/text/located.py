"""A text as the encoder reads it, with the words of the text that its tokens belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertblocks.text.tokenizer import Encoded, Tokenizer
from bertblocks.text.word_spans import NO_WORD, join_tokens


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word of a text, or of the second text of a pair.

    Attributes:
        text: The word, as it stands in the text.
        start: Its first character in the text, counted from 0.
        end: The character after its last one.
        in_pair: Whether it stands in the second text.
    """

    text: str
    start: int
    end: int
    in_pair: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class LocatedText:
    """One row of token ids, and what they stand for.

    Attributes:
        encoded: The row, as Tokenizer.encode gives it; one row.
        words: The words that the row has a token of, in order; of a text that was cut, those before the cut.
        word_of_token: For each of the row's ids the number of its word, NO_WORD for tokens without one.
        is_special: For each of the row's ids whether it is one that the tokenizer put there.
    """

    encoded: Encoded
    words: tuple[Word, ...]
    word_of_token: NDArray[np.int32]
    is_special: NDArray[np.bool_]


def locate(tokenizer: Tokenizer, text: str, pair: str | None = None) -> LocatedText:
    """Tokenize a text, or a pair of texts, and find the words that the tokens belong to.

    Args:
        tokenizer: Cuts the text, or slides over it, as it does in encode.
        text: The text.
        pair: The second text, where rows are pairs.

    Raises:
        DataError: If it is not a str.
        ConfigError: If a pair should slide, or has no room.
    """
    encoded = tokenizer.encode([text], None if pair is None else [pair])
    words: list[Word] = []
    word_of: list[int] = []
    # Numbers below 0 stand for the text's tokens, so that they can be told from special ones afterwards.
    stand_ins: list[list[int]] = []
    for in_pair, part in enumerate([text] if pair is None else [text, pair]):
        spans = tokenizer.token_spans(part)
        found = join_tokens(part, spans)
        stand_ins.append([-1 - index for index in range(len(word_of), len(word_of) + len(spans))])
        word_of += [word if word == NO_WORD else word + len(words) for word in found.word_of_token]
        words += [
            Word(text=part[start:end], start=start, end=end, in_pair=bool(in_pair))
            for start, end in found.places
        ]
    arranged = tokenizer.arrange(*([row] for row in stand_ins)).ids[0]
    is_special = arranged >= 0
    # Special tokens take the last place, which is nobody's.
    all_words = np.array([*word_of, NO_WORD], dtype=np.int32)
    word_of_token = all_words[np.where(is_special, len(word_of), -1 - arranged)]
    return _without_unread(encoded, words, word_of_token, is_special)


def _without_unread(
    encoded: Encoded, words: list[Word], word_of_token: NDArray[np.int32], is_special: NDArray[np.bool_]
) -> LocatedText:
    """Leave out words behind the cut, and number the others anew."""
    read = np.unique(word_of_token[word_of_token != NO_WORD])
    numbers = np.full(len(words) + 1, NO_WORD, dtype=np.int32)
    numbers[read] = np.arange(len(read), dtype=np.int32)
    return LocatedText(
        encoded=encoded,
        words=tuple(words[index] for index in read),
        word_of_token=numbers[word_of_token],
        is_special=is_special,
    )
