"""What happened to the rows of a table, added up batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bertblocks.data import RowProblem, RowReport, Table, TableBatch
from bertblocks.data.batches import Reason
from bertblocks.text import Encoded

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What happened to a table's rows.

    Attributes:
        num_rows: Rows written.
        num_truncated: Rows whose text was cut.
        num_in_windows: Rows whose text was longer than sequence_length, and read in windows.
        sequence_length: Most tokens of a text or window.
        num_unknown: Unknown tokens among those read.
        num_tokens_read: Tokens read, special ones included, cut ones not.
        num_empty: Rows without a usable text; their results are empty.
        num_dropped: Rows of the file that could not be read at all, and are not in the result.
        skipped: Rows of both kinds by reason.
    """

    num_rows: int
    num_truncated: int
    num_in_windows: int
    sequence_length: int
    num_unknown: int
    num_tokens_read: int
    num_empty: int
    num_dropped: int
    skipped: Mapping[Reason, int] = field(default_factory=dict)

    @property
    def unknown_share(self) -> float:
        """Unknown tokens among all tokens read, 0 to 1."""
        return self.num_unknown / max(1, self.num_tokens_read)


class RowCounts:
    """Adds up a JobReport.

    Args:
        sequence_length: Most tokens of a text or window.
        slides: Whether longer texts are read in windows.
    """

    def __init__(self, sequence_length: int, *, slides: bool) -> None:
        self._num_rows = self._num_truncated = self._num_in_windows = 0
        self._num_unknown = self._num_tokens_read = 0
        self._empty, self._dropped = RowReport(), RowReport()
        self._sequence_length = sequence_length
        self._slides = slides

    def add_problems(self, batch: TableBatch, empty: Sequence[RowProblem]) -> None:
        """Count a batch's bad rows: those that could not be read, and those that have no usable text."""
        num_rows = len(batch.rows) + len(batch.problems)
        self._dropped.add(num_rows, list(batch.problems))
        self._empty.add(num_rows, list(empty))

    def add(self, num_rows: int, encoded: Encoded) -> None:
        """Count a batch: all its rows, and the tokens of those that have a text."""
        self._num_rows += num_rows
        self._num_truncated += int(encoded.truncated.sum())
        self._num_unknown += int(encoded.num_unknown.sum())
        read = encoded.num_tokens
        if self._slides:
            self._num_in_windows += int((read > self._sequence_length).sum())
        else:
            read = np.minimum(read, self._sequence_length)
        self._num_tokens_read += int(read.sum())

    def tell(self, table: Table, result: str, say: Say) -> None:
        """Say which rows have no result, and which are not there, each with the reasons."""
        for sentence in (
            self._empty.summary(f"has no {result}", f"have no {result}"),
            self._dropped.summary("could not be read and is left out", "could not be read and are left out"),
        ):
            if sentence:
                say(f"{table.path}: {sentence}")

    def report(self) -> JobReport:
        """What has been counted so far."""
        return JobReport(
            num_rows=self._num_rows,
            num_truncated=self._num_truncated,
            num_in_windows=self._num_in_windows,
            sequence_length=self._sequence_length,
            num_unknown=self._num_unknown,
            num_tokens_read=self._num_tokens_read,
            num_empty=self._empty.total_skipped,
            num_dropped=self._dropped.total_skipped,
            # No reason is of both kinds.
            skipped={**self._empty.num_skipped, **self._dropped.num_skipped},
        )
