"""The sections of a model card that say what a model does, how well, and from what it learnt that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from bertblocks._words import counted
from bertblocks.blocks import BertEncoder, BertTokenizer, TaskKind
from bertblocks.evaluation.card_facts import CardFacts, TrainingRows
from bertblocks.evaluation.card_text import markdown, table
from bertblocks.evaluation.evaluations import Evaluation, GroupEvaluation
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.metrics import primary_metric
from bertblocks.evaluation.tables import format_cell, verdict
from bertblocks.evaluation.tokens import TokenStatistics

_MOST_LABELS, _MOST_GROUPS, _MOST_NAMED = 200, 300, 3
# Of fewer rows a share is known to some 10 points only.
_FEW_ROWS = 100

_GIVES: Mapping[TaskKind, str] = {
    "classification": "one of {labels}, each with a probability; they add up to 1",
    "binary": "one of {labels}, each with a probability; they add up to 1",
    "multilabel": "any number of {labels}, each with a probability of its own",
    "regression": "a number",
}


def task_section(facts: CardFacts) -> list[str]:
    """What goes in, what comes out, and what the network is."""
    model = facts.model
    names = [f"*{markdown(block.column)}*" for block in model.graph.inputs]
    columns = f"column {names[0]}" if len(names) == 1 else f"columns {names[0]} and {names[1]}"
    gives = _GIVES[model.task.kind].format(labels=counted(len(model.task.labels), "label"))
    config = model.module.encoder.config
    return [
        "## Task",
        "",
        f"- **In**: a {facts.takes} (of a table: the {columns}). {_length(facts)}",
        f"- **Out**: {gives}. The truth of a table stands in *{markdown(model.graph.target.column)}*.",
        f"- **Network**: an encoder of {counted(config.num_hidden_layers, 'layer')}, {config.hidden_size} "
        f"wide, with {config.vocab_size:,} tokens, that began as {began_as(facts)}.",
        "",
    ]


def began_as(facts: CardFacts) -> str:
    """What the encoder was before training, in Markdown."""
    model = facts.model
    if isinstance(model.graph.encoder, BertEncoder):
        return "random weights"
    origin = model.encoder_origin
    if origin is not None and origin.repository is not None:
        commit = f", commit {markdown(origin.revision)}" if origin.revision else ""
        return f"{markdown(origin.repository)}{commit}"
    if model.origin == "mini":
        return "mini, which bertblocks brings along: multilingual-e5-small in 4 bits, 160,000 tokens kept"
    # Of a path the last part: where it lay on somebody's disk is nobody's business.
    name = model.origin.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{markdown(name)}, a folder of which nothing else is known"


def _length(facts: CardFacts) -> str:
    model = facts.model
    tokenizer = model.graph.tokenizer
    if tokenizer is None:
        return f"It may have up to {model.sequence_length} ids; longer ones are refused."
    if tokenizer.windows == "slide":
        return f"It is read whole, in windows of {model.sequence_length} tokens."
    return f"Up to {model.sequence_length} tokens are read; what is longer is cut."


def labels_section(facts: CardFacts) -> list[str]:
    """Every label with its rows and figures; of a regression the scale of its numbers."""
    task, evaluation = facts.model.task, facts.evaluation
    if task.kind == "regression":
        mean, deviation = format_cell(task.target_mean), format_cell(task.target_scale)
        told = f"In training the numbers had a mean of {mean} and a standard deviation of {deviation}."
        return ["## Numbers", "", told, ""]
    counts = facts.rows.label_counts if facts.rows is not None else {}
    columns: dict[str, list[Any]] = {}
    if counts:
        columns["rows in training"] = [counts.get(label, 0) for label in task.labels]
    if evaluation is not None:
        columns["rows held out"] = [row.support for row in evaluation.overall.per_class]
        for name in ("precision", "recall", "f1"):
            columns[name] = [getattr(row, name) for row in evaluation.overall.per_class]
    if task.thresholds:
        columns["given from"] = list(task.thresholds)
    cells = ([format_cell(value) for value in column] for column in columns.values())
    rows = zip(map(markdown, task.labels), *cells, strict=True)
    shown = list(islice(rows, _MOST_LABELS))
    more = len(task.labels) - len(shown)
    notes = [f"... and {more:,} more, in bertblocks.json.", ""] if more else []
    if task.thresholds:
        notes += ["A label is given where its probability is at least what stands in the last column.", ""]
    return ["## Labels", "", *table(["label", *columns], shown), *notes]


def scores_section(facts: CardFacts) -> list[str]:
    """The figures of the rows held out, beside the baseline's."""
    evaluation = facts.evaluation
    if evaluation is None:
        return ["## Scores", "", "Not known: the model was not evaluated when it was saved.", ""]
    baseline = None if evaluation.baseline is None else evaluation.baseline.metrics.values
    columns = ["metric", "this model", "95 % interval", *(["without BERT"] if baseline is not None else [])]
    rows = [
        [
            name.replace("_", " "),
            format_cell(value),
            _interval(evaluation.intervals.get(name)),
            *([format_cell(baseline.get(name))] if baseline is not None else []),
        ]
        for name, value in evaluation.overall.values.items()
    ]
    return [
        "## Scores",
        "",
        f"On {counted(evaluation.overall.num_rows, 'row')} held out of training.",
        "",
        *table(columns, rows),
        *_score_notes(facts, evaluation),
    ]


def _score_notes(facts: CardFacts, evaluation: Evaluation) -> Iterator[str]:
    if evaluation.baseline is not None:
        yield f"*Without BERT*: {markdown(evaluation.baseline.description)}. {verdict(evaluation)}"
        yield ""
    fitted = ["the best epoch was chosen"]
    if (facts.model.task.temperatures or facts.model.task.temperature) != 1:
        fitted.append("probabilities were calibrated")
    if facts.model.task.thresholds:
        fitted.append("thresholds were chosen")
    done = " and ".join([", ".join(fitted[:-1]), fitted[-1]] if len(fitted) > 1 else fitted)
    yield f"By these very rows {done}: the figures may be somewhat too good."
    yield ""
    if (calibration := evaluation.calibration) is not None:
        yield (
            f"Expected calibration error: {calibration.error_after:.4f}, and {calibration.error_before:.4f} "
            "before calibration."
        )
        yield ""


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{format_cell(interval.low)} to {format_cell(interval.high)}"


def groups_section(facts: CardFacts) -> list[str]:
    """Languages and scores: the groups of rows, the worst first."""
    evaluation = facts.evaluation
    heading = ["## Languages and scores", ""]
    unknown = "The languages of the texts are not known."
    if facts.model.tokenizer is None:
        unknown = "Lists of token ids have no language."
    if evaluation is None or evaluation.group_by is None:
        return [*heading, unknown, ""]
    column = markdown(evaluation.group_by)
    told = f"Languages are what the column *{column}* says." if facts.groups_are_languages else unknown
    metric = primary_metric(evaluation.kind)
    groups = evaluation.worst_groups()
    rows = [_group_cells(group, metric) for group in groups[:_MOST_GROUPS]]
    more = len(groups) - len(rows)
    return [
        *heading,
        f"{told} Rows held out by *{column}*, the worst first:",
        "",
        *table([column, "rows", metric.replace("_", " "), "95 % interval", "unknown tokens"], rows),
        *([f"... and {more:,} more, in metrics.json.", ""] if more else []),
    ]


def _group_cells(group: GroupEvaluation, metric: str) -> list[str]:
    return [
        markdown(group.name),
        format_cell(group.metrics.num_rows),
        format_cell(group.metrics[metric]),
        _interval(group.interval),
        "-" if group.tokens is None else f"{group.tokens.unknown_share:.1%}",
    ]


def data_section(facts: CardFacts) -> list[str]:
    """How many rows there were, where they came from, and how long they are."""
    if facts.rows is None:
        return ["## Data", "", "Not known: nothing was kept of the rows that the model was trained on.", ""]
    left_out = {} if facts.evaluation is None else facts.evaluation.skipped_in_training or {}
    return [
        "## Data",
        "",
        *(f"- {sentence}" for sentence in _data_sentences(facts.rows)),
        *(
            f"- {counted(count, 'row was', 'rows were')} left out: {reason}."
            for reason, count in sorted(left_out.items())
        ),
        "- Who collected the texts, and under which terms, is not known here.",
        "",
    ]


def _data_sentences(rows: TrainingRows) -> Iterator[str]:
    source = f" of {markdown(rows.table)}" if rows.table is not None else ""
    yield f"Trained on {counted(rows.num_rows, 'row')}{source}."
    if not rows.num_held_out:
        yield "No rows were held out."
    elif rows.validation_table is not None:
        yield f"Held out: {counted(rows.num_held_out, 'row')} of {markdown(rows.validation_table)}."
    elif rows.table is not None:
        yield f"Held out: {counted(rows.num_held_out, 'other row')} of the same table."
    else:
        yield f"Held out: {counted(rows.num_held_out, 'row')}."
    if rows.are_weighted:
        yield "Rows counted differently in training, by weights of their own."
    if rows.tokens is not None:
        yield from _token_sentences(rows.tokens)


def _token_sentences(tokens: TokenStatistics) -> Iterator[str]:
    yield (
        f"Length in tokens: half of the rows have at most {tokens.median_tokens:,.0f}, 95 of 100 at most "
        f"{tokens.p95_tokens:,.0f}, the longest has {tokens.max_tokens:,}."
    )
    if tokens.num_in_windows:
        yield f"{counted(tokens.num_in_windows, 'row was', 'rows were')} read in several windows."
    yield f"Cut: {tokens.truncated_share:.1%} of the rows. Unknown tokens: {tokens.unknown_share:.2%}."


def training_section(facts: CardFacts) -> list[str]:
    """Every setting with its value."""
    if not facts.settings:
        return ["## Training", "", "How the model was trained is not known.", ""]
    what = "encoder and head" if facts.model.graph.encoder.trainable else "the head; the encoder was frozen"
    rows = [
        [name.replace("_", " "), markdown(_setting(value))]
        for name, value in facts.settings.items()
        if value is not None
    ]
    return ["## Training", "", f"Trained: {what}.", "", *table(["setting", "value"], rows)]


def _setting(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def limits_section(facts: CardFacts) -> list[str]:
    """What a user should know before trusting an answer."""
    return ["## Limits", "", *(f"- {sentence}" for sentence in _limits(facts)), ""]


def _limits(facts: CardFacts) -> Iterator[str]:
    task, evaluation = facts.model.task, facts.evaluation
    if task.kind == "multilabel":
        yield "There are no other labels than those above: what else is in a text is not said."
    elif task.kind != "regression":
        yield "One of the labels is always given, also where none of them fits."
    tokenizer = facts.model.graph.tokenizer
    if isinstance(tokenizer, BertTokenizer) and tokenizer.windows == "truncate":
        yield f"What a text says after its first {facts.model.sequence_length} tokens is not read."
    if evaluation is not None:
        yield from _evaluation_limits(evaluation)
    yield "Of texts of another kind or language than in training nothing was measured; answers may be worse."
    yield "Whether answers are fair to people and groups of people was not examined."
    if not isinstance(facts.model.graph.encoder, BertEncoder):
        yield "What the encoder had learnt before this training, prejudice included, was not examined."


def _evaluation_limits(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.overall.num_rows < _FEW_ROWS:
        yield f"The scores are rough: they come from {counted(evaluation.overall.num_rows, 'row')}."
    metric = primary_metric(evaluation.kind)
    values = [value for group in evaluation.groups if (value := group.metrics[metric]) is not None]
    if len(values) > 1 and np.ptp(values) > 0:
        worst = evaluation.worst_groups()[:_MOST_NAMED]
        named = ", ".join(
            f"{markdown(group.name)} ({format_cell(group.metrics[metric])} on "
            f"{counted(group.metrics.num_rows, 'row')})"
            for group in worst
        )
        yield f"Weakest by *{markdown(evaluation.group_by or '')}*, in {metric.replace('_', ' ')}: {named}."
