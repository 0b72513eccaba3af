"""What happened to the rows of a table, added up batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bertblocks.data import RowProblem, RowReport
from bertblocks.data.batches import SHOWN_ROWS, Reason
from bertblocks.text import Encoded

Say = Callable[[str], None]

_NUMBERS = ("num_rows", "num_truncated", "num_in_windows", "num_unknown", "num_tokens_read")


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
        num_empty: Rows that have no results: without a usable text, or where the model itself failed.
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
        self._numbers = dict.fromkeys(_NUMBERS, 0)
        self._empty, self._dropped = RowReport(), RowReport()
        self._sequence_length = sequence_length
        self._slides = slides

    def empty(self) -> RowCounts:
        """The same with nothing counted."""
        return RowCounts(self._sequence_length, slides=self._slides)

    def add_problems(
        self, num_rows: int, *, empty: Sequence[RowProblem], dropped: Sequence[RowProblem]
    ) -> None:
        """Count the bad ones among some rows: those without results, and those that are left out."""
        self._dropped.add(num_rows, list(dropped))
        self._empty.add(num_rows, list(empty))

    def add(self, num_rows: int, encoded: Encoded) -> None:
        """Count rows that are written, and the tokens of those that have a text."""
        self._numbers["num_rows"] += num_rows
        self._numbers["num_truncated"] += int(encoded.truncated.sum())
        self._numbers["num_unknown"] += int(encoded.num_unknown.sum())
        read = encoded.num_tokens
        if self._slides:
            self._numbers["num_in_windows"] += int((read > self._sequence_length).sum())
        else:
            read = np.minimum(read, self._sequence_length)
        self._numbers["num_tokens_read"] += int(read.sum())

    def add_counts(self, counts: RowCounts) -> None:
        """Count what other counts have counted, of rows that follow."""
        for name in _NUMBERS:
            self._numbers[name] += counts._numbers[name]
        _add_report(self._empty, counts._empty)
        _add_report(self._dropped, counts._dropped)

    def tell(self, source: str, result: str, say: Say) -> None:
        """Say which rows have no result, and which are not there, each with the reasons."""
        for sentence in (
            self._empty.summary(f"has no {result}", f"have no {result}"),
            self._dropped.summary("could not be read and is left out", "could not be read and are left out"),
        ):
            if sentence:
                say(f"{source}: {sentence}")

    def report(self) -> JobReport:
        """What has been counted so far."""
        return JobReport(
            **self._numbers,
            sequence_length=self._sequence_length,
            num_empty=self._empty.total_skipped,
            num_dropped=self._dropped.total_skipped,
            # No reason is of both kinds.
            skipped={**self._empty.num_skipped, **self._dropped.num_skipped},
        )

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types that from_json reads back."""
        return {
            **self._numbers,
            "empty": _report_to_json(self._empty),
            "dropped": _report_to_json(self._dropped),
        }

    def from_json(self, data: Mapping[str, Any]) -> RowCounts:
        """Counts of the same kind, as to_json wrote them.

        Raises:
            ValueError, KeyError, TypeError: If it did not write them.
        """
        counts = self.empty()
        counts._numbers = {name: int(data[name]) for name in _NUMBERS}
        counts._empty = _report_from_json(data["empty"])
        counts._dropped = _report_from_json(data["dropped"])
        return counts


def _add_report(total: RowReport, report: RowReport) -> None:
    total.num_rows += report.num_rows
    total.num_skipped.update(report.num_skipped)
    for reason, problems in report.first.items():
        kept = total.first.setdefault(reason, [])
        kept += problems[: SHOWN_ROWS - len(kept)]


def _report_to_json(report: RowReport) -> dict[str, Any]:
    return {
        "num_rows": report.num_rows,
        "num_skipped": dict(report.num_skipped),
        "first": {reason: [asdict(one) for one in problems] for reason, problems in report.first.items()},
    }


def _report_from_json(data: Mapping[str, Any]) -> RowReport:
    return RowReport(
        num_rows=data["num_rows"],
        num_skipped=Counter(data["num_skipped"]),
        first={reason: [RowProblem(**one) for one in problems] for reason, problems in data["first"].items()},
    )
