"""Texts cut into padded batches: for every engine that has no better way of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engines.interface import Ids, Job, Setting, Vectors

Answer = Callable[[Ids], Vectors]
"""One batch → its vectors; called from as many Python threads as there are streams."""


class InBatches:
    """Runs batches one after another, or several at a time.

    Args:
        job: For the tokenizer.
    """

    def __init__(self, job: Job) -> None:
        self._tokenizer = Tokenizer.from_file(str(job.folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(512)
        self._setting = Setting(batch_texts=1)
        self._pool: ThreadPoolExecutor | None = None

    def use(self, setting: Setting) -> None:
        """Cut batches this way from now on; threads are new, so that libraries count them anew."""
        if self._pool is not None:
            self._pool.shutdown()
        self._setting = setting
        self._pool = ThreadPoolExecutor(setting.streams) if setting.streams > 1 else None

    def vectors(self, ids: Ids, answer: Answer) -> Vectors:
        """All vectors, in the order of ids."""
        order = list(range(len(ids)))
        if self._setting.is_sorted:
            # The longest first, so that streams end together.
            order.sort(key=lambda index: -len(ids[index]))
        batches = self._cut(order)
        run = map if self._pool is None else self._pool.map
        answers = run(answer, [[ids[index] for index in batch] for batch in batches])
        rows = np.concatenate(list(answers))
        vectors = np.empty_like(rows)
        vectors[order] = rows
        return vectors

    def encode(self, texts: list[str], answer: Answer) -> Vectors:
        """Tokenize, in one go where texts are sorted and else by batch, and run."""
        parts = [texts] if self._setting.is_sorted else self._cut(texts)
        ids = [row.ids for part in parts for row in self._tokenizer.encode_batch_fast(part)]
        return self.vectors(ids, answer)

    def _cut(self, items: list[Any]) -> list[list[Any]]:
        size = self._setting.batch_texts or len(items)
        return [items[start : start + size] for start in range(0, len(items), size)]


def padded(ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids filled up with zeros, and which of them are tokens, both shape (B, longest)."""
    shape = (len(ids), max(len(row) for row in ids))
    ids_BL, mask_BL = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for index, row in enumerate(ids):
        ids_BL[index, : len(row)] = row
        mask_BL[index, : len(row)] = 1
    return ids_BL, mask_BL


def usual_shapes(threads: int, quick: bool) -> list[Setting]:
    """Few texts a batch and a batch for each thread is what most engines are fastest with on a CPU."""
    several = [Setting(streams=threads, batch_texts=size) for size in (4, 2, 1)]
    shapes = [*several, Setting(batch_texts=8), Setting(batch_texts=32)]
    return shapes[:1] if quick else shapes
