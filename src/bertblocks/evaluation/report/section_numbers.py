"""A regression: answers against truth, and where the errors are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bertblocks._words import counted
from bertblocks.evaluation.report.data_tables import data_table, numbers, texts
from bertblocks.evaluation.report.layout import Block, Section, figure, note, section, side_by_side
from bertblocks.evaluation.report.number_errors import (
    ErrorCounts,
    JointCounts,
    SizeBin,
    can_be_drawn,
    error_counts,
    errors_by_size,
    joint_counts,
)
from bertblocks.evaluation.report.phrases import significant
from bertblocks.evaluation.report.plots_numbers import errors_picture, joint_picture, sizes_picture
from bertblocks.evaluation.report_data import ReportData
from bertblocks.evaluation.tables import Cell

# The picture has more bins than a table can have columns: every so many are joined.
_TABLE_BINS = 8


def numbers_section(data: ReportData) -> Section | None:
    """The pictures of a regression; nothing for other tasks."""
    if data.task.kind != "regression":
        return None
    heading = "Answers and truth"
    if not can_be_drawn(data.rows):
        return section(
            "errors", "Errors", heading, [note("The numbers lie too far apart for a picture of them.")]
        )
    return section(
        "errors",
        "Errors",
        heading,
        [
            side_by_side(_joint(joint_counts(data.rows)), _errors(error_counts(data.rows))),
            side_by_side(_sizes(errors_by_size(data.rows))),
        ],
    )


def _joint(joint: JointCounts) -> Block:
    caption = "How many texts have which truth and answer: the darker, the more. The dashed line is right."
    step = -(-len(joint.counts) // _TABLE_BINS)
    starts = np.arange(0, len(joint.counts), step)
    coarse = np.add.reduceat(np.add.reduceat(joint.counts, starts, axis=0), starts, axis=1)
    edges = joint.truth_edges[np.append(starts, len(joint.counts))]
    names = [_range_words(low, high) for low, high in pairwise(edges)]
    rows: list[list[Cell]] = [
        [name, *(int(number) for number in row)] for name, row in zip(names, coarse, strict=True)
    ]
    table = data_table(
        "Texts by truth (rows) and answer (columns)", [*texts("Truth \\ answer"), *numbers(*names)], rows
    )
    return figure(joint_picture(joint), caption, table)


def _errors(errors: ErrorCounts) -> Block:
    caption = "How often the answer is off by how much: right of the line it is too high, left of it too low."
    note_words = ""
    if errors.num_beyond:
        lie = counted(errors.num_beyond, "error lies", "errors lie")
        note_words = (
            f"{lie} beyond the ends, and is counted there."
            if errors.num_beyond == 1
            else (f"{lie} beyond the ends, and are counted there.")
        )
    rows: list[list[Cell]] = [
        [_range_words(low, high), int(number)]
        for low, high, number in zip(errors.edges, errors.edges[1:], errors.counts, strict=False)
    ]
    table = data_table("Texts by answer less truth", [*texts("Answer less truth"), *numbers("Texts")], rows)
    return figure(errors_picture(errors), caption, table, note=note_words)


def _sizes(sizes: tuple[SizeBin, ...]) -> Block:
    caption = (
        "The rows in equal parts by their truth: how far off the answers are, and whether they are too high "
        "or too low on average."
    )
    rows: list[list[Cell]] = [
        [
            _range_words(entry.low, entry.high),
            entry.num_rows,
            significant(entry.mean_absolute_error),
            significant(entry.mean_error),
        ]
        for entry in sizes
    ]
    columns = [*texts("Truth"), *numbers("Texts", "Off by, on average", "Too high (+) or low (−)")]
    return figure(sizes_picture(sizes), caption, data_table("Errors by size of the truth", columns, rows))


def _range_words(low: float, high: float) -> str:
    return significant(low) if low == high else f"{significant(low)} to {significant(high)}"
