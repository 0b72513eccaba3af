"""Rows of an evaluation gathered batch by batch: numbers alone, the widest of them in a file.

Axes: N rows, C labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertblocks.blocks import Task
from bertblocks.evaluation.evaluated_rows import EvaluatedRows, group_name
from bertblocks.evaluation.evaluations import check_groups
from bertblocks.evaluation.tokens import TokenCounts
from bertblocks.inference import Predictions, targets_in_unit


class _Column:
    """Values of one type in a temporary file: the memory holds them once, when they are all there."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="bertblocks-")  # noqa: SIM115 - it lives as long as its map
        self._dtype: np.dtype[Any] = np.dtype(np.float32)

    def add(self, values: NDArray[Any]) -> None:
        self._dtype = values.dtype
        self._file.write(np.ascontiguousarray(values).tobytes())

    def read(self) -> NDArray[Any]:
        self._file.seek(0)
        return np.fromfile(self._file, dtype=self._dtype)

    def mapped(self, shape: tuple[int, ...]) -> NDArray[Any]:
        self._file.flush()
        return np.memmap(self._file, dtype=self._dtype, mode="r", shape=shape)

    def close(self) -> None:
        self._file.close()


class CollectedRows:
    """Takes predictions with their truth, and gives them back as columns.

    Until then everything lies in temporary files; scores stay there, which goes when nothing refers to it any
    more: a million rows of 200 labels are 800 MB.

    Args:
        task: What was asked.
        group_by: The column that the groups are of; None where there is none.
        sequence_length: Most tokens of a text or window.
        in_windows: Whether longer texts were read in windows.
    """

    def __init__(self, task: Task, *, group_by: str | None, sequence_length: int, in_windows: bool) -> None:
        self._task = task
        self._group_by = group_by
        self._sequence_length = sequence_length
        self._in_windows = in_windows
        names = ("targets", "scores", "num_tokens", "truncated", "num_unknown", "groups", "texts")
        self._columns = {name: _Column() for name in names}
        self._code_of: dict[str, int] = {}
        self.num_rows = 0

    def add(
        self,
        targets: NDArray[Any],
        found: Predictions,
        groups: Sequence[str | None],
        text_hashes: NDArray[np.uint64],
    ) -> None:
        """Take some rows.

        Args:
            targets: As encode_targets gives them.
            found: Their predictions.
            groups: To what each belongs; of no use where there is no group column.
            text_hashes: Of their texts.

        Raises:
            DataError: If there are more groups than a report may have.
        """
        self.num_rows += len(targets)
        columns = {
            "targets": self._small(targets),
            "scores": found.scores,
            "num_tokens": found.num_tokens.astype(np.int32),
            "truncated": found.truncated,
            "num_unknown": found.num_unknown.astype(np.int32),
            "texts": text_hashes,
        }
        if self._group_by is not None:
            codes = [self._code_of.setdefault(group_name(group), len(self._code_of)) for group in groups]
            check_groups(self._group_by, self._code_of)
            columns["groups"] = np.array(codes, dtype=np.int16)
        for name, values in columns.items():
            self._columns[name].add(values)

    def close(self) -> None:
        """Let go of the files; what rows() gave still has its own."""
        for column in self._columns.values():
            column.close()

    def text_hashes(self) -> NDArray[np.uint64]:
        """Of all rows so far."""
        return self._columns["texts"].read()

    def rows(self) -> EvaluatedRows:
        """All rows so far, at least one."""
        wide = (self.num_rows, self._task.num_outputs)
        shape = wide[:1] if self._task.kind == "regression" else wide
        targets = self._columns["targets"].read()
        names, codes = self._sorted_groups()
        return EvaluatedRows(
            targets=targets.reshape(wide) if self._task.kind == "multilabel" else targets,
            scores=self._columns["scores"].mapped(shape),
            tokens=TokenCounts(
                num_tokens=self._columns["num_tokens"].read(),
                truncated=self._columns["truncated"].read(),
                num_unknown=self._columns["num_unknown"].read(),
                sequence_length=self._sequence_length,
                in_windows=self._in_windows,
            ),
            group_codes=codes,
            group_names=names,
        )

    def _small(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Targets in their own unit, in a small type that holds them."""
        if self._task.kind == "regression":
            return targets_in_unit(self._task, targets)
        return targets.astype(np.int8 if self._task.kind == "multilabel" else np.int32)

    def _sorted_groups(self) -> tuple[tuple[str, ...], NDArray[np.int32] | None]:
        if self._group_by is None:
            return (), None
        names = sorted(self._code_of)
        place = np.empty(len(names), dtype=np.int32)
        place[[self._code_of[name] for name in names]] = np.arange(len(names), dtype=np.int32)
        return tuple(names), place[self._columns["groups"].read()]
