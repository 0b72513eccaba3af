"""Markdown tables from result files of int8_quality.py and int8_vectors.py, as docs/precision.md has them.

python benchmarks/int8_tables.py benchmarks/results/int8_quality_*.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# A language loses too much where even the lower end of its interval lies beyond.
LIMIT = 1.0
# The name of the metric that has a worst language and a worst script.
METRICS = {"sib200": "accuracy", "umsab": "macro_f1", "stsb": "pearson"}


def quality_rows(records: list[dict[str, Any]]) -> Iterator[str]:
    """A row a run: means over the languages, and the language and the script that lose most."""
    yield (
        "| table, encoder | metric | float32 | bfloat16 loses | int8 loses | int8 changes "
        f"| int8, worst script | int8, worst language | beyond {LIMIT:g} |\n" + "|---" * 9 + "|"
    )
    for record in records:
        yield _quality_row(record)


def _quality_row(record: dict[str, Any]) -> str:
    settings = record["environment"]["settings"]
    name, metric = settings["table"], METRICS[settings["table"]]
    mean, *groups = record["results"]
    # Codes of languages are longer than the four letters of a script's, but for those without a script.
    languages = [group for group in groups if group["languages"] == 1 and not _is_script(group, groups)]
    scripts = [group for group in groups if _is_script(group, groups)]
    beyond = sum(group[metric]["int8"][1] > LIMIT for group in languages)
    moved = f"{mean['changed']['int8']:.3f}" if name == "stsb" else f"{mean['changed']['int8']:.1%}"
    cells = (
        f"{name}, {settings['encoder']}, seed {settings['seed']}",
        metric,
        f"{mean[metric]['float32']:.2f}",
        interval(mean[metric]["bfloat16"]),
        interval(mean[metric]["int8"]),
        moved,
        worst(scripts, metric),
        worst(languages, metric),
        f"{beyond} of {len(languages)}",
    )
    return f"| {' | '.join(cells)} |"


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
    """A row an encoder and language."""
    yield (
        "| encoder, language | Spearman, float32 | bfloat16 loses | int8 loses "
        "| cosine with float32's, mean / lowest: bfloat16 | int8 |\n|---|---|---|---|---|---|"
    )
    for record in records:
        for group in record["results"][1:]:
            near = [" / ".join(f"{x:.4f}" for x in record["nearness"][p][group["group"]]) for p in _OTHERS]
            lost = [interval(group["spearman"][p]) for p in _OTHERS]
            name = f"{record['environment']['settings']['encoder']}, {group['group']}"
            yield f"| {name} | {group['spearman']['float32']:.2f} | {' | '.join([*lost, *near])} |"


_OTHERS = ("bfloat16", "int8")


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
