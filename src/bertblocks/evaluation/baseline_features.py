"""Words and characters of texts as sparse vectors: what the cheap baseline sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

# Of a longer text the beginning is read; 512 tokens of BERT are about as many characters.
MAX_CHARACTERS_PER_TEXT = 2_000
# Hashed columns for words, and as many for characters. On multilingual tables 2 ** 19 and 2 ** 20 were no
# better, and a vocabulary instead of hashes was three times slower and less accurate.
NUM_COLUMNS = 1 << 18
# Words weigh less than characters, which also serve languages without spaces and rich in endings.
_WORD_WEIGHT = 0.5
# Measures of overlap are many times larger than one n-gram's weight; from 1 on, stochastic steps overshoot.
_OVERLAP_WEIGHT = 0.3


class TextFeatures:
    """TF-IDF of words (one and two) and of characters within words (one to five), by hashing.

    Of a pair of texts it sees what they share, what they do not, and how alike they are: words of both in one
    bag would tell little about their relation.

    Args:
        num_columns: Hashed columns of words, and of characters.
    """

    def __init__(self, num_columns: int = NUM_COLUMNS) -> None:
        self._hashers = (
            _hasher(num_columns, analyzer="word", ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b"),
            # Chinese, Japanese and Thai have few spaces: a "word" is a clause there, n-grams run through it.
            _hasher(num_columns, analyzer="char_wb", ngram_range=(1, 5)),
        )
        self._weightings = tuple(TfidfTransformer(sublinear_tf=True) for _ in self._hashers)

    def fit_transform(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> sparse.csr_matrix:
        """Learn how rare each n-gram is, and give the features of the same texts."""
        counts = self._counts(texts)
        pair_counts = None if pairs is None else self._counts(pairs)
        for position, weighting in enumerate(self._weightings):
            known = counts[position]
            weighting.fit(known if pair_counts is None else sparse.vstack([known, pair_counts[position]]))
        return self._join(texts, counts, pairs, pair_counts)

    def transform(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> sparse.csr_matrix:
        """The features of texts, one row each, float32."""
        return self._join(texts, self._counts(texts), pairs, None if pairs is None else self._counts(pairs))

    def _counts(self, texts: Sequence[str]) -> list[sparse.csr_matrix]:
        readable = [_readable(text) for text in texts]
        return [hasher.transform(readable) for hasher in self._hashers]

    def _join(
        self,
        texts: Sequence[str],
        counts: list[sparse.csr_matrix],
        pairs: Sequence[str] | None,
        pair_counts: list[sparse.csr_matrix] | None,
    ) -> sparse.csr_matrix:
        words, characters = self._weigh(counts)
        if pairs is None or pair_counts is None:
            return sparse.hstack([words * _WORD_WEIGHT, characters], format="csr", dtype=np.float32)
        blocks = []
        overlaps = [_length_ratio(texts, pairs)]
        for first, second in zip((words, characters), self._weigh(pair_counts), strict=True):
            shared = first.multiply(second)
            overlaps.append(np.asarray(shared.sum(axis=1)).ravel())
            blocks += [abs(first - second), shared]
        overlap = np.stack(overlaps, axis=1)
        curved = np.hstack([overlap, overlap**2, np.sqrt(overlap)]) * _OVERLAP_WEIGHT
        return sparse.hstack([*blocks, sparse.csr_matrix(curved)], format="csr", dtype=np.float32)

    def _weigh(self, counts: list[sparse.csr_matrix]) -> list[sparse.csr_matrix]:
        return [weighting.transform(part) for weighting, part in zip(self._weightings, counts, strict=True)]


def _hasher(num_columns: int, **settings: object) -> HashingVectorizer:
    return HashingVectorizer(
        n_features=num_columns, alternate_sign=False, norm=None, dtype=np.float32, **settings
    )


def _readable(text: str) -> str:
    # Hashing encodes to UTF-8, which cannot carry a lone surrogate.
    return text[:MAX_CHARACTERS_PER_TEXT].encode("utf-8", "replace").decode("utf-8")


def _length_ratio(texts: Sequence[str], pairs: Sequence[str]) -> NDArray[np.float32]:
    first = np.fromiter(map(len, texts), dtype=np.float32, count=len(texts))
    second = np.fromiter(map(len, pairs), dtype=np.float32, count=len(pairs))
    longer = np.maximum(np.maximum(first, second), 1)
    return (np.minimum(first, second) / longer).astype(np.float32)
