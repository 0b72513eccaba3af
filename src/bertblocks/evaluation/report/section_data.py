"""What the rows are like: lengths, cuts, unknown tokens, repeated texts, labels, rows left out."""

from __future__ import annotations

from collections.abc import Mapping

from bertblocks._words import counted
from bertblocks.evaluation.report.answers import LabelTallies
from bertblocks.evaluation.report.data_tables import data_table, numbers, texts
from bertblocks.evaluation.report.findings import Findings
from bertblocks.evaluation.report.layout import (
    Block,
    Section,
    figure,
    section,
    side_by_side,
    subheading,
    together,
)
from bertblocks.evaluation.report.markup import Html, element, paragraphs
from bertblocks.evaluation.report.phrases import column_name, percent
from bertblocks.evaluation.report.plots_bars import Bar, bars_picture, pairs_picture
from bertblocks.evaluation.report.plots_lengths import LengthCounts, length_counts, lengths_picture
from bertblocks.evaluation.report_data import Leakage, ReportData
from bertblocks.evaluation.tables import Cell
from bertblocks.evaluation.tokens import TokenStatistics

_MAX_BARS = 30
_MAX_UNKNOWN_BARS = 15


def data_section(data: ReportData, findings: Findings) -> Section | None:
    """What is known of the rows, without their answers."""
    evaluation = data.evaluation
    pictures = side_by_side(_lengths(data), _unknown_by_group(data))
    labels = None if findings.tallies is None else _label_counts(data, findings.tallies)
    parts: list[Block | Html | None] = [
        None if evaluation.tokens is None else paragraphs(token_words(evaluation.tokens)),
        pictures,
        labels,
        together(
            subheading("Repeated texts"), paragraphs(leakage_words(data.leakage, evaluation.overall.num_rows))
        ),
        _skipped("Rows left out", evaluation.skipped),
        _skipped("Rows left out of the training table", evaluation.skipped_in_training),
    ]
    return section("data", "Data", "The data", parts)


def token_words(tokens: TokenStatistics) -> list[str | None]:
    """Lengths, cuts and unknown tokens in sentences."""
    half = f"Half of the texts have at most {tokens.median_tokens:,.0f} tokens"
    sizes = f"{half}, 95 of 100 at most {tokens.p95_tokens:,.0f}; the longest has {tokens.max_tokens:,}."
    cut = (
        f"{counted(tokens.num_truncated, 'text was', 'texts were')} cut ({percent(tokens.truncated_share)})."
    )
    windows = None
    if tokens.num_in_windows:
        windows = f"{counted(tokens.num_in_windows, 'text was', 'texts were')} read in several windows."
    unknown = f"Of all tokens that were read, {percent(tokens.unknown_share)} are unknown to the vocabulary."
    return [sizes, "No text was cut." if not tokens.num_truncated else cut, windows, unknown]


def leakage_words(leakage: Leakage | None, num_rows: int) -> list[str | None]:
    """Repeated texts in sentences."""
    if leakage is None:
        return ["Whether texts are repeated was not looked at."]
    if not leakage.compared:
        trained = (
            "Whether the model was trained on some of these texts is unknown: no training table was here."
        )
    elif not leakage.num_rows:
        trained = "None of these texts stands in the training table."
    else:
        rows = counted(leakage.num_rows, "row has a text", "rows have texts")
        trained = (
            f"{rows} of the training table ({percent(leakage.num_rows / num_rows)}; "
            f"{counted(leakage.num_distinct, 'different text')}). "
            f"{counted(leakage.num_other_truth, 'of them has', 'of them have')} another truth there."
        )
    if not leakage.num_repeated:
        return [trained, "No text stands in these rows twice."]
    repeats = counted(leakage.num_repeated, "row repeats", "rows repeat")
    return [trained, f"{repeats} the text of an earlier row ({percent(leakage.num_repeated / num_rows)})."]


def _lengths(data: ReportData) -> Block | None:
    if data.rows.tokens is None or not len(data.rows.tokens.num_tokens):
        return None
    lengths = length_counts(data.rows.tokens)
    rows: list[list[Cell]] = [
        [_token_range(int(start), int(end)), int(number)]
        for start, end, number in zip(lengths.edges, lengths.edges[1:], lengths.counts, strict=False)
    ]
    table = data_table("Texts by number of tokens", [*texts("Tokens"), *numbers("Texts")], rows)
    return figure(lengths_picture(lengths), _length_caption(lengths), table)


def _token_range(start: int, end: int) -> str:
    """A bin in words; its end is not within it."""
    return f"{start:,}" if end == start + 1 else f"{start:,} to {end - 1:,}"


def _length_caption(lengths: LengthCounts) -> str:
    caption = "How long the texts are, in tokens, before they are cut."
    if lengths.is_logarithmic:
        caption += " The axis is logarithmic."
    if lengths.limit is not None:
        what = "is read in windows" if lengths.in_windows else "is cut"
        caption += f" What has more than {lengths.limit:,} tokens {what}."
    return caption


def _unknown_by_group(data: ReportData) -> Block | None:
    shares = [
        (group.tokens.unknown_share, group.name)
        for group in data.evaluation.groups
        if group.tokens is not None
    ]
    if len(shares) < 2:
        return None
    if not any(share for share, _ in shares):
        return Block(
            html=element(
                "p", f"In no {column_name(data.evaluation.group_by)} are tokens unknown to the vocabulary."
            )
        )
    ranked = sorted(shares, key=lambda entry: (-entry[0], entry[1]))
    shown = ranked[:_MAX_UNKNOWN_BARS]
    title = f"Unknown tokens by {column_name(data.evaluation.group_by)}"
    picture = bars_picture(
        "unknown-tokens",
        title,
        "percent of the tokens",
        [Bar(name=name, value=100 * share) for share, name in shown],
    )
    caption = "Tokens that the vocabulary of the model does not know: what it cannot see."
    if len(shown) < len(ranked):
        caption += f" The {len(shown)} groups with the most, of {len(ranked):,}; the table by group has all."
    columns = [*texts("Group"), *numbers("Unknown tokens")]
    return figure(
        picture, caption, data_table(title, columns, [[name, percent(share)] for share, name in shown])
    )


def _label_counts(data: ReportData, tallies: LabelTallies) -> Block:
    labels = data.task.labels
    order = sorted(range(len(labels)), key=lambda label: (-int(tallies.having[label]), label))
    shown = order[:_MAX_BARS]
    picture = pairs_picture(
        "label-counts",
        "Texts by label, in truth and in the answers",
        "texts",
        [labels[label] for label in shown],
        ("truth", [int(tallies.having[label]) for label in shown]),
        ("answers", [int(tallies.given[label]) for label in shown]),
    )
    caption = "How many texts have each label, and how many the model gives it to."
    if len(shown) < len(order):
        caption += f" The {len(shown)} most frequent of {len(order):,} labels; the table by label has all."
    num_rows = len(data.rows.targets)
    rows: list[list[Cell]] = [
        [
            labels[label],
            int(tallies.having[label]),
            percent(int(tallies.having[label]) / num_rows),
            int(tallies.given[label]),
            percent(int(tallies.given[label]) / num_rows),
        ]
        for label in shown
    ]
    columns = [*texts("Label"), *numbers("In truth", "Share", "In the answers", "Share")]
    return together(
        subheading("Labels"), figure(picture, caption, data_table("Texts by label", columns, rows))
    )


def _skipped(title: str, skipped: Mapping[str, int] | None) -> Block | None:
    if not skipped:
        return None
    rows: list[list[Cell]] = [[reason, number] for reason, number in sorted(skipped.items())]
    return together(subheading(title), data_table(title, [*texts("Reason"), *numbers("Rows")], rows))
