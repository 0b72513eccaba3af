"""Texts that stand in training and in evaluation: figures of such rows say what was learnt by heart.

A model's folder keeps 16 bytes of each training row: hashes of its text and of its truth. They tell whether a
text was there, also when the training table is gone; they do not give it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks._files import replace_when_done
from bertblocks._foreign_files import is_there
from bertblocks.data import ModelInput, as_text
from bertblocks.errors import DataError
from bertblocks.evaluation.report_data import Leakage

TRAINING_TEXTS = "training_texts.npy"
_ROW = np.dtype([("text", "<u8"), ("truth", "<u8")])
_SPACE = "\x1f"


def row_hashes(
    texts: Sequence[ModelInput], pairs: Sequence[str | None] | None, truths: Sequence[str]
) -> NDArray[Any]:
    """Hash rows, case and outer white space left as they are.

    Args:
        texts: Texts, or lists of token ids.
        pairs: Second texts, where there are any.
        truths: What each row's truth reads as.

    Returns:
        One entry a row, with the fields "text" and "truth".
    """
    second = pairs if pairs is not None else [None] * len(texts)
    rows = np.empty(len(texts), dtype=_ROW)
    rows["text"] = [
        _hash(as_text(text) if pair is None else f"{as_text(text)}{_SPACE}{pair}")
        for text, pair in zip(texts, second, strict=True)
    ]
    rows["truth"] = [_hash(truth) for truth in truths]
    return rows


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def write_training_texts(path: Path, rows: NDArray[Any]) -> None:
    """Keep the hashes of the training rows, in the order of their texts."""
    with replace_when_done(path) as temporary:
        np.save(temporary, np.sort(rows, order=["text", "truth"]))


def read_training_texts(folder: Path) -> NDArray[Any] | None:
    """The hashes that training left in a model's folder; None where there are none.

    Raises:
        DataError: If the file is not what training writes.
    """
    path = folder / TRAINING_TEXTS
    if not is_there(path):
        return None
    try:
        rows: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{path} is not what training writes ({error}): remove it, or train again."
        ) from error
    if rows.dtype != _ROW or rows.ndim != 1:
        raise DataError(
            f"{path} holds {rows.dtype} of shape {rows.shape}, expected hashes of rows: remove it, or train "
            "again."
        )
    return rows


class SeenBefore:
    """Counts rows whose text stands in the training table too, batch by batch.

    Args:
        training: Hashes of the training rows, as read_training_texts gives them; None where they are not
            known.
    """

    def __init__(self, training: NDArray[Any] | None) -> None:
        self._training = training
        self._texts = None if training is None else np.unique(training["text"])
        self._num_rows = self._num_other_truth = 0
        self._found: set[int] = set()

    def add(self, rows: NDArray[Any]) -> None:
        """Look at some rows, as row_hashes gives them."""
        if self._training is None or self._texts is None or not len(self._texts):
            return
        place = np.searchsorted(self._texts, rows["text"]).clip(max=len(self._texts) - 1)
        shared = rows[self._texts[place] == rows["text"]]
        self._num_rows += len(shared)
        self._found.update(shared["text"].tolist())
        self._num_other_truth += int(np.count_nonzero(~np.isin(shared, self._training)))

    def leakage(self, text_hashes: NDArray[np.uint64]) -> Leakage:
        """All that was found.

        Args:
            text_hashes: Of all rows; sorted in place.
        """
        text_hashes.sort()
        return Leakage(
            num_rows=self._num_rows,
            num_distinct=len(self._found),
            num_repeated=int(np.count_nonzero(text_hashes[1:] == text_hashes[:-1])),
            num_other_truth=self._num_other_truth,
            compared=self._training is not None,
        )
