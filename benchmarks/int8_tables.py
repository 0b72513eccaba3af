"""Markdown tables from result files of int8_quality.py and int8_vectors.py, as docs/precision.md has them.

    python benchmarks/int8_tables.py benchmarks/results/int8_quality_*.json

Losses are in points, with their 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A language loses too much where even the lower end of its interval lies beyond.
LIMIT = 1.0
# Of each table, the metric that is shown.
METRICS = {"sib200": "accuracy", "umsab": "macro_f1", "stsb": "pearson"}
OTHERS = ("bfloat16", "int8")


def quality_rows(records: list[dict[str, Any]]) -> Iterator[str]:
    """A row a run: means over the languages, and the script and the language that lose most in int8."""
    heads = ["float32", "bfloat16 loses", "int8 loses", "changed", "worst script", "worst language"]
    yield f"| table, encoder, seed | {' | '.join(heads)} |\n|---" + "|---" * len(heads) + "|"
    beyond: list[str] = []
    for record in records:
        settings = record["environment"]["settings"]
        table, metric = settings["table"], METRICS[settings["table"]]
        mean, *groups = record["results"]
        scripts = [group for group in groups if _is_script(group, groups)]
        languages = [group for group in groups if group not in scripts]
        changed = mean["changed"]["int8"]
        cells = (
            f"{table}, {settings['encoder']}, {settings['seed']}",
            f"{metric} {mean[metric]['float32']:.2f}",
            f"{mean[metric]['bfloat16'][0]:+.2f}",
            interval(mean[metric]["int8"]),
            f"by {changed:.3f}" if table == "stsb" else f"{changed:.1%}",
            worst(scripts, metric),
            worst(languages, metric) if len(languages) > 1 else "",
        )
        yield f"| {' | '.join(cells)} |"
        beyond += [f"{table} {group['group']}" for group in groups if group[metric]["int8"][1] > LIMIT]
    yield f"\nWhose whole interval lies beyond {LIMIT:g}: {', '.join(beyond) or 'none'}"


def _is_script(group: dict[str, Any], groups: list[dict[str, Any]]) -> bool:
    return any(other["group"].endswith(f"_{group['group']}") for other in groups)


def worst(groups: list[dict[str, Any]], metric: str) -> str:
    """The group with the largest loss in int8, and that loss."""
    if not groups:
        return ""
    group = max(groups, key=lambda group: group[metric]["int8"][0])
    return f"{group['group']} {interval(group[metric]['int8'])}"


def interval(estimate: list[float]) -> str:
    """A loss and its 95 % interval."""
    value, low, high = estimate
    return f"{value:+.2f} ({low:+.2f} … {high:+.2f})"


def vector_rows(records: list[dict[str, Any]]) -> Iterator[str]:
    """A row an encoder and language; nearness is the cosine with float32's vectors, mean and lowest."""
    heads = [
        "Spearman, float32",
        *(f"{name} loses" for name in OTHERS),
        *(f"nearness, {name}" for name in OTHERS),
    ]
    yield f"| encoder, language | {' | '.join(heads)} |\n|---" + "|---" * len(heads) + "|"
    for record in records:
        for group in record["results"][1:]:
            near = [" / ".join(f"{x:.4f}" for x in record["nearness"][p][group["group"]]) for p in OTHERS]
            lost = [interval(group["spearman"][p]) for p in OTHERS]
            name = f"{record['environment']['settings']['encoder']}, {group['group']}"
            yield f"| {name} | {group['spearman']['float32']:.2f} | {' | '.join([*lost, *near])} |"


def main() -> None:
    """Print a table for each kind of file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().files]
    vectors = [record for record in records if "nearness" in record]
    trained = [record for record in records if "nearness" not in record]
    trained.sort(key=lambda record: [*METRICS].index(record["environment"]["settings"]["table"]))
    for rows, found in ((quality_rows, trained), (vector_rows, vectors)):
        if found:
            print("\n".join(rows(found)), end="\n\n")


if __name__ == "__main__":
    main()
