"""One model for many languages, or a model for each? The same rows, language by language.

One model is trained on the rows of all languages together; then each language gets a model of its own,
trained on its rows alone. All are judged on the same test rows. "defaults" fine-tunes, "frozen" trains the
head alone; settings are bertblocks' own for as many rows as a model gets.

    python benchmarks/one_or_many.py afrisenti --data ../shared/data --train-rows 50 --output one_or_many.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peers import Rows, environment, hugging_face_folder, quiet_transformers
from real_tasks import TABLES, figures, languages_of, read_rows, rows_of_language, scores_of_ours


def compare(folder: Path, rows: Rows, options: argparse.Namespace, side: str) -> dict[str, Any]:
    """The metrics of each language with the one model, and with a model of its own."""
    metrics = TABLES[options.table].metrics
    start = time.perf_counter()
    one = figures(rows, scores_of_ours(folder, rows, options, side), metrics)
    middle = time.perf_counter()
    many = {}
    for language in languages_of(rows):
        own = replace(
            rows,
            train=rows_of_language(rows.train, language),
            test=rows_of_language(rows.test, language),
        )
        many[language] = figures(own, scores_of_ours(folder, own, options, side), metrics)[language]
    end = time.perf_counter()
    return {
        "seconds": {"one": round(middle - start, 1), "each": round(end - middle, 1)},
        "metrics": {language: {"one": one[language], "each": values} for language, values in many.items()},
    }


def lines(side: str, found: dict[str, Any], metric: str) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {side}: {metric} | one model | a model each | difference |\n|---|---|---|---|"
    pairs = {
        language: (values["one"][metric], values["each"][metric])
        for language, values in found["metrics"].items()
    }
    means = tuple(float(np.mean(column)) for column in zip(*pairs.values(), strict=True))
    for name, (one, each) in {**pairs, "mean": means}.items():
        yield f"| {name} | {one:.3f} | {each:.3f} | {one - each:+.3f} |"


def main() -> None:
    """Measure, and print a table a side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the real tables")
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--sides", default="defaults,frozen")
    parser.add_argument("--train-rows", type=int, default=50, help="of each language")
    parser.add_argument("--test-rows", type=int, default=250, help="of each language")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    quiet_transformers()
    rows = read_rows(TABLES[options.table], options)
    record: dict[str, Any] = {
        "environment": environment(options),
        "rows": {"train": len(rows.train), "test": len(rows.test)},
        "results": {},
    }
    with tempfile.TemporaryDirectory() as work:
        folder = hugging_face_folder(options.encoder, Path(work) / "encoder")
        for side in options.sides.split(","):
            record["results"][side] = compare(folder, rows, options, side)
            for line in lines(side, record["results"][side], TABLES[options.table].metrics[0]):
                print(line, flush=True)
            print(record["results"][side]["seconds"], file=sys.stderr, flush=True)
            if options.output:
                options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
