"""What a reader must know before trusting the figures."""

from __future__ import annotations

from collections.abc import Iterator

from bertblocks._words import counted
from bertblocks.evaluation.evaluations import Evaluation
from bertblocks.evaluation.metrics import primary_metric
from bertblocks.evaluation.report.answers import LabelTallies
from bertblocks.evaluation.report.findings import Findings
from bertblocks.evaluation.report.metric_words import metric_in_sentence
from bertblocks.evaluation.report.phrases import column_name, listed, percent, quoted
from bertblocks.evaluation.report_data import Leakage, ReportData
from bertblocks.evaluation.tables import threshold_note

_FEW_ROWS = 100
_MUCH_CUT = 0.05
_MANY_UNKNOWN = 0.05
_MANY_UNKNOWN_IN_A_GROUP = 0.2
_MUCH_REPEATED = 0.1


def cautions(data: ReportData, findings: Findings) -> tuple[str, ...]:
    """All warnings about these figures, in sentences."""
    evaluation = data.evaluation
    found: list[str | None] = [few_rows(evaluation.overall.num_rows)]
    if data.task.kind in ("classification", "binary") and findings.tallies is not None:
        found.append(no_better_than_one_label(data, findings.tallies))
    if findings.tallies is not None:
        found.append(labels_without_rows(data.task.labels, findings.tallies))
    found += leakage_sentences(data.leakage, evaluation.overall.num_rows)
    found += [much_cut(data), *many_unknown(evaluation), thresholds_fitted(evaluation)]
    if evaluation.calibration is not None and evaluation.calibration.rows == "same":
        found.append(
            "The temperature of the probabilities was fitted on these very rows: they look somewhat better "
            "calibrated than they are."
        )
    found.append(rows_skipped(evaluation))
    return tuple(sentence for sentence in found if sentence)


def few_rows(num_rows: int) -> str | None:
    """That few rows say little."""
    if num_rows >= _FEW_ROWS:
        return None
    was = "was" if num_rows == 1 else "were"
    return (
        f"Only {counted(num_rows, 'row')} {was} evaluated: on other rows every figure may be far from these."
    )


def no_better_than_one_label(data: ReportData, tallies: LabelTallies) -> str | None:
    """That one label everywhere would be as right as the model."""
    num_rows, right = int(tallies.having.sum()), int(tallies.hits.sum())
    frequent = int(tallies.having.argmax())
    most, label = int(tallies.having[frequent]), quoted(data.task.labels[frequent])
    if most == num_rows:
        return f"All rows have the same true label, {label}: whether the model tells labels apart is unknown."
    if right > most:
        return None
    return (
        f"Always answering {label} would be right for {percent(most / num_rows)} of these rows, "
        f"the model is for {percent(right / num_rows)}."
    )


def labels_without_rows(labels: tuple[str, ...], tallies: LabelTallies) -> str | None:
    """Which labels do not occur."""
    missing = [quoted(label) for label, having in zip(labels, tallies.having, strict=True) if not having]
    # That all rows have one label is said on its own.
    if not missing or len(missing) >= len(labels) - 1:
        return None
    return (
        f"{counted(len(missing), 'label does', 'labels do')} not occur in these rows: {listed(missing)}. "
        "How well they are found is unknown."
    )


def leakage_sentences(leakage: Leakage | None, num_rows: int) -> Iterator[str]:
    """What repeated texts do to the figures."""
    if leakage is None:
        return
    if leakage.num_rows:
        others = ""
        if leakage.num_other_truth:
            have = "has" if leakage.num_other_truth == 1 else "have"
            others = f" {leakage.num_other_truth:,} of them {have} another truth there."
        yield (
            f"{counted(leakage.num_rows, 'row has a text', 'rows have texts')} that the model was trained on "
            f"({percent(leakage.num_rows / num_rows)}): what it has seen says little of what it will do with "
            f"new texts.{others}"
        )
    if leakage.num_repeated >= _MUCH_REPEATED * num_rows:
        yield (
            f"{counted(leakage.num_repeated, 'row repeats', 'rows repeat')} the text of an earlier row "
            f"({percent(leakage.num_repeated / num_rows)}), which makes the intervals too narrow."
        )


def much_cut(data: ReportData) -> str | None:
    """That the ends of many texts were not read."""
    tokens = data.evaluation.tokens
    if tokens is None or tokens.truncated_share < _MUCH_CUT:
        return None
    limit = data.rows.tokens.sequence_length if data.rows.tokens is not None else None
    after = "" if limit is None else f" after {limit:,} tokens"
    return (
        f"{percent(tokens.truncated_share)} of the texts were cut{after}: the model did not read their ends."
    )


def many_unknown(evaluation: Evaluation) -> Iterator[str]:
    """That the tokenizer does not know much of what stands in the texts."""
    tokens = evaluation.tokens
    if tokens is not None and tokens.unknown_share >= _MANY_UNKNOWN:
        yield f"{percent(tokens.unknown_share)} of all tokens are unknown to the vocabulary of the model."
    groups = [
        quoted(group.name)
        for group in sorted(
            evaluation.groups, key=lambda group: -group.tokens.unknown_share if group.tokens else 0
        )
        if group.tokens is not None and group.tokens.unknown_share >= _MANY_UNKNOWN_IN_A_GROUP
    ]
    if groups:
        yield (
            f"In {column_name(evaluation.group_by)} {listed(groups)} a fifth or more of the tokens are "
            "unknown to the vocabulary of the model: it sees too little of these texts."
        )


def thresholds_fitted(evaluation: Evaluation) -> str | None:
    """That thresholds were chosen on these rows; the sentence of the command line, its metric in words."""
    sentence, name = threshold_note(evaluation), primary_metric(evaluation.kind)
    return None if sentence is None else sentence.replace(name, metric_in_sentence(name))


def rows_skipped(evaluation: Evaluation) -> str | None:
    """That rows of the table were left out."""
    num_skipped = sum(evaluation.skipped.values())
    if not num_skipped:
        return None
    left_out = counted(num_skipped, "row of the table was", "rows of the table were")
    return f"{left_out} left out; “The data”, below, says why."
