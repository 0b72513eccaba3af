"""Texts to token ids: cut to length, with what was cut and what was unknown counted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import MAX_SEQUENCE_LENGTH, MIN_SEQUENCE_LENGTH, Windowing
from bertblocks.errors import ConfigError, DataError
from bertblocks.text.template import Template, lengths_of_cut_pair
from bertblocks.text.token_spans import TokenSpan
from bertblocks.text.vocabulary import Casing, Role
from bertblocks.text.windows import default_stride, window_starts

_NUM_SHOWN = 5


class TokenModel(Protocol):
    """What `Tokenizer` needs of a kind of tokenization: WordPiece, or any other."""

    @property
    def casing(self) -> Casing | None:
        """As `Tokenizer.casing`."""

    @property
    def vocabulary_size(self) -> int:
        """Ids are 0 to this less 1."""

    @property
    def special_tokens(self) -> Mapping[Role, int]:
        """The special tokens' ids by role."""

    @property
    def template(self) -> Template:
        """Where the special tokens stand."""

    def token(self, index: int) -> str:
        """The token of an id."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, uncut and without special tokens."""

    def locate(self, text: str) -> list[TokenSpan]:
        """Where the tokens of a text lie in it, as far as that can be told; encode's ids decide."""

    def files(self) -> dict[str, bytes]:
        """What a saved folder holds besides the tokenizer configuration."""

    def configuration(self) -> dict[str, object]:
        """What the saved tokenizer configuration says of this model."""


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Token ids of B texts or pairs, ragged.

    Attributes:
        ids: Ids of each row, special tokens included, int32.
        num_first: How many leading tokens of each row belong to segment 0, int32, shape (B,).
        num_tokens: How many tokens each row had before it was cut, special tokens included, int32, shape
            (B,).
        truncated: Which rows were cut, shape (B,).
        num_unknown: How many of the ids kept are the unknown token, int32, shape (B,).
        windows: Where texts are read in windows, the lengths of each row's windows, which stand one after
            another in its ids; None where every row is one sequence.
    """

    ids: list[NDArray[np.int32]]
    num_first: NDArray[np.int32]
    num_tokens: NDArray[np.int32]
    truncated: NDArray[np.bool_]
    num_unknown: NDArray[np.int32]
    windows: tuple[tuple[int, ...], ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Encoded:
        """The chosen rows, in the order of their positions."""
        index = np.asarray(rows, dtype=np.int64)
        return Encoded(
            ids=[self.ids[row] for row in index],
            num_first=self.num_first[index],
            num_tokens=self.num_tokens[index],
            truncated=self.truncated[index],
            num_unknown=self.num_unknown[index],
            windows=None if self.windows is None else tuple(self.windows[row] for row in index),
        )


class Tokenizer:
    """Turns texts or pairs of texts into token ids; made by `load_tokenizer`.

    It never changes, may be shared between threads, and can be pickled.

    Attributes:
        name: The vocabulary's name, or that of the folder it came from.
        sequence_length: The most tokens a row, or a window of it, may have, special tokens included.
        stride: With "slide", tokens from one window's beginning to the next.
        windows: "truncate" cuts a text that is too long, "slide" reads it in overlapping windows.

    Raises:
        ConfigError: If the sequence length is not a whole number from 3 to 512, windows is neither, or the
            stride is none from 1 to the room that a window has, or is given while texts are cut.
    """

    def __init__(
        self,
        *,
        name: str,
        model: TokenModel,
        sequence_length: int,
        windows: Windowing = "truncate",
        stride: int | None = None,
    ) -> None:
        _check_sequence_length(sequence_length)
        self.windows: Windowing = windows
        self._room = sequence_length - model.template.single.num_special
        self.stride = default_stride(self._room) if stride is None else stride
        self._given_stride = stride
        if windows == "slide":
            _check_stride(self.stride, self._room)
        else:
            _check_cut(windows, stride)
        self.name = name
        self.sequence_length = sequence_length
        self._model = model
        self._template = model.template
        self._unknown = model.special_tokens.get("unk", -1)

    def __repr__(self) -> str:
        return (
            f"Tokenizer(name={self.name!r}, casing={self.casing!r}, vocabulary_size={self.vocabulary_size}, "
            f"sequence_length={self.sequence_length})"
        )

    @property
    def casing(self) -> Casing | None:
        """Whether texts are lowercased and stripped of accents; None where that is not known."""
        return self._model.casing

    @property
    def vocabulary_size(self) -> int:
        """Ids are 0 to this less 1."""
        return self._model.vocabulary_size

    @property
    def special_tokens(self) -> Mapping[Role, int]:
        """The special tokens' ids by role: pad, unk, cls, sep, mask, as far as the vocabulary has them."""
        return self._model.special_tokens

    def token(self, index: int) -> str:
        """The token of an id.

        Raises:
            IndexError: If there is no such id.
        """
        if not 0 <= index < self.vocabulary_size:
            raise IndexError(f"token id {index} is outside 0 to {self.vocabulary_size - 1}")
        return self._model.token(index)

    def num_special_tokens(self, pair: bool) -> int:
        """How many special tokens a row takes.

        Args:
            pair: Whether rows are pairs: BERT's take 3, those of RoBERTa's kind 4; a single text takes 2.
        """
        template = self._template.pair if pair else self._template.single
        return template.num_special

    def with_sequence_length(self, sequence_length: int) -> Tokenizer:
        """The same tokenizer with another limit; costs nothing."""
        return Tokenizer(
            name=self.name,
            model=self._model,
            sequence_length=sequence_length,
            windows=self.windows,
            stride=self._given_stride,
        )

    def with_windows(self, windows: Windowing, stride: int | None = None) -> Tokenizer:
        """The same tokenizer, cutting or sliding.

        Args:
            windows: "truncate" or "slide".
            stride: Tokens from one window's beginning to the next; None is three quarters of its room.

        Raises:
            ConfigError: If windows is neither, windows would leave tokens out or have no room, or a stride is
                given while texts are cut.
        """
        return Tokenizer(
            name=self.name,
            model=self._model,
            sequence_length=self.sequence_length,
            windows=windows,
            stride=stride,
        )

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Encoded:
        """Tokenize texts, or pairs of texts, in parallel.

        A text that is too long is cut on the right, or read in windows; of a pair, the longer text is cut
        first. Special tokens typed in a text are text. NUL is dropped, and a lone surrogate is unknown.

        Args:
            texts: The texts; an empty one is special tokens only.
            pairs: The second text of each row, if rows are pairs.

        Raises:
            DataError: If an entry is not a str (all such rows are counted, the first are named), or if the
                two lists differ in length.
            ConfigError: If `sequence_length` leaves no room for the special tokens of a pair, or a pair
                should slide.
        """
        first = _as_texts(texts, "texts")
        if pairs is None:
            return self.arrange(self._model.encode(first))
        if self.windows == "slide":
            raise ConfigError(
                "windows='slide' is for single texts: of a pair, either text might slide against the other. "
                "Set windows='truncate', which cuts the longer text first."
            )
        second = _as_texts(pairs, "pairs")
        if len(first) != len(second):
            raise DataError(
                f"texts and pairs differ in length: {len(first)} and {len(second)}. "
                f"Give one second text per row."
            )
        return self.arrange(self._model.encode(first), self._model.encode(second))

    def arrange(self, first: Sequence[list[int]], second: Sequence[list[int]] | None = None) -> Encoded:
        """Put special tokens around what texts have become, and cut it or make windows of it.

        Args:
            first: Ids of the texts, or the first texts, without special tokens. They may be any numbers: who
                gives each token's place instead learns which tokens are kept, and where.
            second: Ids of the second texts; not where texts slide.
        """
        if second is not None:
            return self._join_pairs(first, second)
        return self._slide(first) if self.windows == "slide" else self._join(first)

    def token_spans(self, text: str) -> list[TokenSpan]:
        """Where the tokens of a text lie in it; without special tokens, uncut.

        The ids are those that encode gives. Where the tokenizer cannot tell the places, every token has all
        of the text.
        """
        (ids,) = self._model.encode([text])
        spans = self._model.locate(text)
        starts = [span.start for span in spans if span.start < span.end]
        if [span.token_id for span in spans] == ids and starts == sorted(starts):
            return spans
        return [TokenSpan(index, 0, len(text)) for index in ids]

    def _join(self, texts: Sequence[list[int]]) -> Encoded:
        template = self._template.single
        room = self.sequence_length - template.num_special
        rows = [[*template.before, *text[:room], *template.after] for text in texts]
        lengths = [len(row) for row in rows]
        return self._encoded(rows, lengths, (len(text) + template.num_special for text in texts))

    def _slide(self, texts: Sequence[list[int]]) -> Encoded:
        template = self._template.single
        rows, windows = [], []
        for text in texts:
            starts = window_starts(len(text), room=self._room, stride=self.stride)
            pieces = [
                [*template.before, *text[start : start + self._room], *template.after] for start in starts
            ]
            rows.append(np.array([index for piece in pieces for index in piece], dtype=np.int32))
            windows.append(tuple(map(len, pieces)))
        counted = np.array([len(text) + template.num_special for text in texts], dtype=np.int32)
        return Encoded(
            ids=rows,
            num_first=np.array([len(row) for row in rows], dtype=np.int32),
            num_tokens=counted,
            truncated=np.zeros(len(rows), dtype=np.bool_),
            num_unknown=np.array([text.count(self._unknown) for text in texts], dtype=np.int32),
            windows=tuple(windows),
        )

    def _join_pairs(self, first: Sequence[list[int]], second: Sequence[list[int]]) -> Encoded:
        template = self._template.pair
        room = self.sequence_length - template.num_special
        if room < 0:
            raise ConfigError(
                f"sequence_length is {self.sequence_length}, but a pair takes {template.num_special} special "
                f"tokens with this tokenizer. Set it to {template.num_special} or more."
            )
        rows, num_first = [], []
        for a, b in zip(first, second, strict=True):
            num_a, num_b = lengths_of_cut_pair(len(a), len(b), room)
            rows.append([*template.before, *a[:num_a], *template.between, *b[:num_b], *template.after])
            in_first = len(template.before) + num_a + template.num_between_first
            num_first.append(in_first if template.two_segments else len(rows[-1]))
        num_tokens = (len(a) + len(b) + template.num_special for a, b in zip(first, second, strict=True))
        return self._encoded(rows, num_first, num_tokens)

    def _encoded(
        self, rows: Sequence[list[int]], num_first: Iterable[int], num_tokens: Iterable[int]
    ) -> Encoded:
        lengths = np.fromiter(map(len, rows), dtype=np.int32, count=len(rows))
        counted = np.fromiter(num_tokens, dtype=np.int32, count=len(rows))
        return Encoded(
            ids=[np.array(row, dtype=np.int32) for row in rows],
            num_first=np.fromiter(num_first, dtype=np.int32, count=len(rows)),
            num_tokens=counted,
            truncated=counted > lengths,
            num_unknown=np.fromiter(
                (row.count(self._unknown) for row in rows), dtype=np.int32, count=len(rows)
            ),
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder that `load_tokenizer` and transformers' AutoTokenizer open.

        Args:
            folder: Made if it is missing; files of the same names are replaced.
        """
        configuration = {
            # Without this class transformers lowercases a cased vocabulary, and a Unigram one fails.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": self.sequence_length,
            "clean_up_tokenization_spaces": False,
            "model_input_names": self._input_names(),
            **self._model.configuration(),
        }
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, content in self._model.files().items():
            (target / name).write_bytes(content)
        written = json.dumps(configuration, ensure_ascii=False, indent=2) + "\n"
        (target / "tokenizer_config.json").write_bytes(written.encode())

    def _input_names(self) -> list[str]:
        """What transformers makes of texts; unless segments are named here, it gives a pair none."""
        segments = ["token_type_ids"] if self._template.pair.two_segments else []
        return ["input_ids", *segments, "attention_mask"]


def _check_sequence_length(sequence_length: int) -> None:
    is_whole = isinstance(sequence_length, (int, np.integer)) and not isinstance(sequence_length, bool)
    if not is_whole or not MIN_SEQUENCE_LENGTH <= sequence_length <= MAX_SEQUENCE_LENGTH:
        raise ConfigError(
            f"sequence_length is {sequence_length!r}, expected a whole number from {MIN_SEQUENCE_LENGTH} to "
            f"{MAX_SEQUENCE_LENGTH}, the number of positions that BERT knows."
        )


def _check_stride(stride: int, room: int) -> None:
    is_whole = isinstance(stride, (int, np.integer)) and not isinstance(stride, bool)
    if not is_whole or not 1 <= stride <= room:
        raise ConfigError(
            f"stride is {stride!r}, but a window has room for {room} tokens of a text: expected a whole "
            f"number from 1 to {room}, or text would be left out."
        )


def _check_cut(windows: str, stride: int | None) -> None:
    if windows != "truncate":
        raise ConfigError(f"windows is {windows!r}, but must be one of {', '.join(get_args(Windowing))}.")
    if stride is not None:
        raise ConfigError(
            f"stride is {stride!r}, which has no effect while texts are cut: set windows='slide' too, or "
            "leave it out."
        )


def _as_texts(texts: Sequence[str], argument: str) -> list[str]:
    """Make a list of the texts, and name every kind of entry that is not one."""
    if isinstance(texts, (str, bytes)) or not isinstance(texts, Iterable):
        raise DataError(
            f"{argument} is a single {type(texts).__name__}, expected a list of str. "
            f"Wrap one text in a list: [text]."
        )
    rows = list(texts)
    bad = [(row, text) for row, text in enumerate(rows) if not isinstance(text, str)]
    if bad:
        shown = ", ".join(
            f"row {row} is {text!r:.40} ({type(text).__name__})" for row, text in bad[:_NUM_SHOWN]
        )
        more = f", and {len(bad) - _NUM_SHOWN:,} more rows" if len(bad) > _NUM_SHOWN else ""
        raise DataError(
            f"{argument} must be str: {shown}{more}. Drop these rows, or put '' where a text is missing."
        )
    return rows
