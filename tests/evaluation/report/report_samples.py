"""Made-up evaluations for the report's tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bertblocks.blocks import Task
from bertblocks.evaluation import BaselineResult, TokenCounts, compute_metrics, primary_metric
from bertblocks.evaluation.evaluated_rows import EvaluatedRows
from bertblocks.evaluation.evaluations import evaluate_rows
from bertblocks.evaluation.intervals import Interval
from bertblocks.evaluation.report_data import Leakage, Mistake, ReportData, WordWeight

# What tables hold that wish a page ill.
HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "a\x00b\x1f<!-- & \"quotes\" 'and' $x^2$ \\frac{1}{2} @0@ #7e0001",
    "\u202eשלום עולם",
    "lone \ud800 surrogate",
    "x" * 10_000,
    "አማርኛ ไทย 日本語 🙂",
    "]]></svg><style>*{display:none}</style>",
)
TASKS = {
    "classification": Task(kind="classification", labels=("travel", "geography", "health", "sports")),
    "binary": Task(kind="binary", labels=("no", "yes")),
    "multilabel": Task(
        kind="multilabel",
        labels=("red", "big", "old"),
        thresholds=(0.4, 0.5, 0.6),
        temperatures=(1.2, 1.0, 0.9),
    ),
    "regression": Task(kind="regression"),
}
HISTORY = [
    *(
        {
            "event": "step",
            "step": step,
            "loss": 2 / step,
            "learning_rate": 1e-4 * (60 - step) / 60,
            "num_tokens": 900 + step,
            "seconds": 0.5,
        }
        for step in range(1, 61)
    ),
    *(
        {
            "event": "epoch",
            "epoch": epoch,
            "step": 20 * epoch,
            "metrics": {
                "loss": 1 / epoch,
                "accuracy": 0.5 + epoch / 10,
                "pearson": 0.3 * epoch,
                "micro_f1": None,
            },
            "best": epoch < 3,
        }
        for epoch in (1, 2, 3)
    ),
]
FACTS = {
    "Settings": {"sequence length": "128", "note": HOSTILE[0]},
    "Versions": {"bertblocks": "1.2.3"},
    "Files": {"table, sha256": "0123456789abcdef" * 4},
    "Empty": {},
}


def rows_of(task, num_rows, *, num_groups=0, seed=0, skill=0.7):
    """Rows whose answers are right with about that probability."""
    rng = np.random.default_rng(seed)
    if task.kind == "regression":
        targets = rng.normal(3, 1, num_rows)
        scores = targets + rng.normal(0, 1 - skill, num_rows)
    elif task.kind == "multilabel":
        targets = (rng.random((num_rows, len(task.labels))) < 0.3).astype(np.float32)
        noise = rng.random(targets.shape)
        scores = np.where(rng.random(targets.shape) < skill, 0.3 * noise + 0.7 * targets, noise).astype(
            np.float32
        )
    else:
        targets = rng.integers(0, task.num_outputs, num_rows)
        logits = rng.normal(0, 1, (num_rows, task.num_outputs))
        logits[np.arange(num_rows), targets] += 4 * skill
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        scores = scores.astype(np.float32)
    num_tokens = rng.integers(2, 60, num_rows)
    tokens = TokenCounts(
        num_tokens=num_tokens,
        truncated=num_tokens > 48,
        num_unknown=rng.integers(0, 2, num_rows),
        sequence_length=48,
    )
    groups = {}
    num_groups = min(num_groups, num_rows)
    if num_groups:
        groups = {
            "group_codes": (np.arange(num_rows) % num_groups).astype(np.int32),
            "group_names": tuple(f"group {number:04d}" for number in range(num_groups)),
        }
    return EvaluatedRows(targets=targets, scores=scores, tokens=tokens, **groups)


def baseline_of(task, num_rows=300):
    rows = rows_of(task, num_rows, seed=9, skill=0.3)
    return BaselineResult(
        metrics=compute_metrics(task, targets=rows.targets, scores=rows.scores),
        seconds=1.25,
        num_train_rows=900,
        num_available_rows=1_000,
        description="TF-IDF of words, logistic regression, fitted to a random 900 of 1,000 rows",
    )


def mistakes_of(texts, *, group=None):
    return tuple(
        Mistake(
            row=place + 1,
            text=text,
            pair=HOSTILE[0] if place == 1 else None,
            truth=text[:50],
            answer="an answer",
            confidence=0.9 - 0.01 * place,
            group=group,
            words=(
                WordWeight(start=0, end=1, weight=0.4),
                WordWeight(start=1, end=3, weight=-0.2),
                WordWeight(start=2, end=4, weight=9.0),
                WordWeight(start=5, end=10**9, weight=1.0),
            ),
        )
        for place, text in enumerate(texts)
    )


def about(value):
    """An interval as wide as an interval may be; real ones take seconds."""
    return None if value is None else Interval(low=value - 0.05, high=value + 0.05)


def report_data(
    kind="classification", num_rows=240, *, task=None, rows=None, bare=False, with_intervals=False, **changes
):
    """A report of a kind of task; `bare` has only what every report has."""
    task = task or TASKS[kind]
    rows = rows if rows is not None else rows_of(task, num_rows, num_groups=0 if bare else 4)
    if bare:
        rows = replace(rows, tokens=None)
    evaluation = evaluate_rows(
        task,
        rows,
        group_by="language" if rows.group_codes is not None else None,
        skipped={} if bare else {"the target is empty": 3},
        baseline=None if bare else baseline_of(task),
        with_intervals=with_intervals,
    )
    if not bare and not with_intervals:
        name = primary_metric(task.kind)
        evaluation = replace(
            evaluation,
            intervals={
                name: about(value) for name, value in evaluation.overall.values.items() if value is not None
            },
            groups=tuple(replace(group, interval=about(group.metrics[name])) for group in evaluation.groups),
        )
    full = {
        "mistakes": mistakes_of(("a wrong text", "another wrong text"), group="group 0001"),
        "num_mistakes": 40,
        "leakage": Leakage(num_rows=5, num_distinct=4, num_repeated=2, num_other_truth=1, compared=True),
        "history": HISTORY,
        "facts": FACTS,
    }
    changes = {"title": "topics on test.csv", **({} if bare else full), **changes}
    return ReportData(task=task, evaluation=evaluation, rows=rows, **changes)
