"""Markdown tables from result files of real_tasks.py and one_or_many.py, as benchmarks/README.md has them.

Times are left out: accuracy is measured on any machine, also a busy one.

    python benchmarks/tables.py benchmarks/results/real_tasks_*.json benchmarks/results/one_or_many_*.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIDES = {
    "baseline": "TF-IDF, linear",
    "trainer": "transformers' Trainer",
    "same": "bertblocks, the Trainer's settings",
    "defaults": "bertblocks, its own",
    "frozen": "bertblocks, its own, encoder frozen",
}


def real_task_rows(records: list[dict[str, Any]]) -> Iterator[str]:
    """A row a side: the mean over the languages, and the weakest and the strongest of them.

    Args:
        records: Of one table and encoder, one a seed; a side counts the seeds that it was run with.
    """
    settings, rows = records[0]["environment"]["settings"], records[0]["rows"]
    first, second = next(iter(records[0]["results"].values()))["metrics"]["mean"]
    title = f"{settings['table']}, {settings['encoder']}, {rows['train']:,} rows, judged by {rows['test']:,}"
    yield f"| {title} | {first} | {second} | {first}, weakest | {first}, strongest |\n|---|---|---|---|---|"
    for side, name in SIDES.items():
        runs = [record["results"][side]["metrics"] for record in records if side in record["results"]]
        if not runs:
            continue
        languages = [language for language in runs[0] if language != "mean"]
        ordered = sorted((_mean(runs, language, first), language) for language in languages)
        ends = " | ".join(f"{value:.3f} {language}" for value, language in (ordered[0], ordered[-1]))
        figures = " | ".join(_with_range([run["mean"][metric] for run in runs]) for metric in (first, second))
        seeds = f", {len(runs)} seeds" if len(runs) > 1 else ""
        yield f"| {name}{seeds} | {figures} | {ends} |"


def _mean(runs: list[dict[str, Any]], language: str, metric: str) -> float:
    return float(np.mean([run[language][metric] or 0.0 for run in runs]))


def _with_range(values: list[float]) -> str:
    """The mean over the seeds and, where there are several, the lowest and the highest."""
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} – {max(values):.3f})"


def one_or_many_rows(record: dict[str, Any]) -> Iterator[str]:
    """A row a side: the means of the two ways, and how many languages gain."""
    settings = record["environment"]["settings"]
    for side, found in record["results"].items():
        pairs = [
            tuple(next(iter(values[way].values())) or 0.0 for way in ("one", "each"))
            for values in found["metrics"].values()
        ]
        one, each = np.mean(pairs, axis=0)
        gains = sum(a > b for a, b in pairs)
        yield (
            f"| {settings['table']}, {settings['train_rows']} rows a language | {SIDES[side]} | {one:.3f} | "
            f"{each:.3f} | {one - each:+.3f} | {gains} of {len(pairs)} |"
        )


def main() -> None:
    """Print a table for each task and encoder, and one of all files of one or many."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().results]
    tasks: dict[str, list[dict[str, Any]]] = {}
    others: list[str] = []
    for record in records:
        settings = record["environment"]["settings"]
        if "epochs" in settings:
            same = {key: value for key, value in settings.items() if key not in ("seed", "sides", "output")}
            tasks.setdefault(json.dumps([same, record["rows"]], sort_keys=True), []).append(record)
        else:
            others += one_or_many_rows(record)
    for runs in tasks.values():
        print(*real_task_rows(runs), sep="\n", end="\n\n")
    if others:
        print(
            "| | | one model | a model each | difference | languages that gain |\n|---|---|---|---|---|---|"
        )
        print(*others, sep="\n")


if __name__ == "__main__":
    main()
