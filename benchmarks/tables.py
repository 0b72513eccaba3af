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


def real_task_rows(record: dict[str, Any]) -> Iterator[str]:
    """A row a side: the mean over the languages, and the weakest and the strongest of them."""
    settings, rows = record["environment"]["settings"], record["rows"]
    first, second = record["results"]["baseline"]["metrics"]["mean"]
    title = f"{settings['table']}, {settings['encoder']}, {rows['train']:,} rows, judged by {rows['test']:,}"
    yield f"| {title} | {first} | {second} | {first}, weakest | {first}, strongest |\n|---|---|---|---|---|"
    for side, name in SIDES.items():
        mean, *languages = record["results"][side]["metrics"].items()
        ordered = sorted((values[first] or 0.0, language) for language, values in languages)
        ends = " | ".join(f"{value:.3f} {language}" for value, language in (ordered[0], ordered[-1]))
        figures = " | ".join(f"{mean[1][metric]:.3f}" for metric in (first, second))
        yield f"| {name} | {figures} | {ends} |"


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
    """Print a table a file of real tasks, and one of all files of one or many."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+")
    records = [json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().results]
    others = []
    for record in records:
        if "baseline" in record["results"]:
            print(*real_task_rows(record), sep="\n", end="\n\n")
        else:
            others += one_or_many_rows(record)
    if others:
        print(
            "| | | one model | a model each | difference | languages that gain |\n|---|---|---|---|---|---|"
        )
        print(*others, sep="\n")


if __name__ == "__main__":
    main()
