"""The texts that every engine is given: of real words, and with exactly as many tokens as they should have.

A text is made of rows of the sample table that ships inside the package, then of single words, until the
encoder's own tokenizer counts the wanted number of tokens, special tokens included.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from bertblocks import sample
from bertblocks.text import Tokenizer, load_tokenizer
from workloads import SINGLE_LENGTHS, Workload

FIXED_LENGTH = 128
MEDIAN_LENGTH, LENGTH_SPREAD, SHORTEST, LONGEST = 48, 0.7, 8, 256
# Words that do not fit any more are passed over; after so many a text is begun anew.
_PATIENCE = 4000
_TRIES = 50


def make_workloads(folder: Path, *, num_mixed: int, num_fixed: int) -> dict[str, Workload]:
    """Make "mixed" and "fixed", one text alone of each length ("one-16" …), and "calibration".

    "calibration" is of mixed's kind, but other texts: static quantization looks at it.
    """
    maker = _TextMaker(load_tokenizer(folder))
    workloads = {
        "mixed": maker.make(mixed_lengths(num_mixed, seed=0), seed=0),
        "fixed": maker.make([FIXED_LENGTH] * num_fixed, seed=1),
        "calibration": maker.make(mixed_lengths(48, seed=2), seed=2),
    }
    for length in SINGLE_LENGTHS:
        workloads[f"one-{length}"] = maker.make([length], seed=3)
    return workloads


def mixed_lengths(count: int, *, seed: int) -> list[int]:
    """Log-normal lengths in tokens, as texts have them."""
    normal = np.random.default_rng(seed).normal(np.log(MEDIAN_LENGTH), LENGTH_SPREAD, count)
    return [int(length) for length in np.exp(normal).round().clip(SHORTEST, LONGEST)]


class _TextMaker:
    """Puts texts of wanted lengths together."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        with sample.evaluation_table().open(encoding="utf-8", newline="") as file:
            rows = [row["text"] for row in csv.DictReader(file)]
        words = sorted({word for row in rows for word in row.split()})
        self._num_special = self._lengths([""])[0]
        self._rows = [(row, length - self._num_special) for row, length in self._counted(rows)]
        self._words = [(word, length - self._num_special) for word, length in self._counted(words)]

    def make(self, lengths: list[int], *, seed: int) -> Workload:
        """Texts of exactly these lengths.

        Raises:
            ValueError: If the tokenizer cannot be brought to a length.
        """
        random = np.random.default_rng(seed)
        texts = [self._text(length, random) for length in lengths]
        return Workload(texts=texts, ids=[row.tolist() for row in self._tokenizer.encode(texts).ids])

    def _text(self, length: int, random: np.random.Generator) -> str:
        for _ in range(_TRIES):
            text = self._draft(length - self._num_special, random)
            # Tokens of parts need not add up where a vocabulary joins words; then another draft is tried.
            if self._lengths([text])[0] == length:
                return text
        raise ValueError(f"No text of {length} tokens came about with the tokenizer {self._tokenizer.name}.")

    def _draft(self, room: int, random: np.random.Generator) -> str:
        """Rows while they fit well, then words that fill the rest."""
        parts: list[str] = []
        while room > 0:
            source = self._rows if room > 24 else self._words
            for _ in range(_PATIENCE):
                text, length = source[random.integers(len(source))]
                if 0 < length <= room:
                    break
            else:
                break
            parts.append(text)
            room -= length
        return " ".join(parts)

    def _counted(self, texts: list[str]) -> list[tuple[str, int]]:
        return list(zip(texts, self._lengths(texts), strict=True))

    def _lengths(self, texts: list[str]) -> list[int]:
        return [int(length) for length in self._tokenizer.encode(texts).num_tokens]
