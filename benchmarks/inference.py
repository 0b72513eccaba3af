"""Inference: bertblocks beside transformers, onnxruntime, OpenVINO and CTranslate2, in one run.

Equal texts and threads for all; each engine in a process of its own, at the best setting that a few trials
find. They take turns, and every engine's vectors are compared with those of transformers in float32. Prints
tables, writes them as JSON, and draws a chart.

    python benchmarks/inference.py                      BERT-Base, Multilingual Cased, with random weights
    python benchmarks/inference.py --encoder FOLDER     any other encoder
    python benchmarks/inference.py --quick              two minutes: does all of it work?
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import preparation
import report
from engines.interface import Job, Row
from engines.process import run_apart
from engines.rows import PRECISIONS, all_rows, reference_row
from machine import environment, physical_cores
from measured import Measured
from rounds import Rounds, measure_memory, note, reference_vectors
from watch import Watch
from workloads import Workload

_HERE = Path(__file__).parent
_CACHE = _HERE.parent / ".cache" / "benchmark"
# Of a core; above it, engines that wait for all threads at every step lose more than the others.
_TOO_BUSY = 0.1


def chosen_rows(options: argparse.Namespace) -> list[Row]:
    """The rows that were asked for, of those that this machine can have."""
    rows = all_rows(run_apart(preparation.kernels_here))
    if options.quick:
        # Compiling once is enough to see that it works.
        rows = [row for row in rows if row.name != "transformers-zentorch-float32"]
    wanted = options.rows.split(",") if options.rows else [""]
    return [row for row in rows if any(part in row.name for part in wanted)]


def measure(rows: list[Row], job: Job, repeats: int) -> tuple[list[Measured], dict[str, float]]:
    """All rows, one precision after another, then their memory; and what is known about the run itself."""
    note("transformers, float32: the vectors that all are compared with")
    reference = reference_vectors(reference_row(), job)
    results: list[Measured] = []
    watch = Watch()
    for precision in PRECISIONS:
        # float32 takes most of the time, and varies least.
        turns = (repeats + 1) // 2 if precision == "float32" else repeats
        rounds = Rounds(job=job, reference=reference, repeats=turns, watch=watch)
        results += rounds.measure([row for row in rows if row.precision == precision])
    for result in results:
        if result.problem is None and (result.row.precision == "int8" or not job.quick):
            measure_memory(result, job)
    unit = reference["mixed"] / np.linalg.norm(reference["mixed"], axis=1, keepdims=True)
    others = ~np.eye(len(unit), dtype=bool)
    return results, {
        **watch.summary(),
        "cosine_of_different_texts": float((unit @ unit.T)[others].mean()),
    }


def describe(workload: Workload) -> dict[str, int]:
    """What its texts are like."""
    lengths = [len(row) for row in workload.ids]
    return {
        "texts": len(lengths),
        "tokens": sum(lengths),
        "shortest": min(lengths),
        "median": int(np.median(lengths)),
        "longest": max(lengths),
    }


def in_words(workload: dict[str, int]) -> str:
    """One line about a workload."""
    return (
        f"{workload['texts']} texts, {workload['tokens']:,} tokens, {workload['shortest']} to "
        f"{workload['longest']} each, median {workload['median']}"
    )


def print_report(record: dict[str, Any], results: list[Measured], workloads: dict[str, Workload]) -> None:
    """All tables."""
    parts = [report.speed_table(precision, results, workloads) for precision in PRECISIONS]
    parts += [report.single_table(results), report.product_table(results), report.memory_table(results)]
    missing = report.left_out(results)
    if missing:
        parts.append(f"Left out:\n\n{missing}")
    parts.append(report.surroundings(record["environment"]))
    print("\n\n".join(parts))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--encoder", help="a folder or a named encoder; BERT-Base, Multilingual Cased at random by default"
    )
    parser.add_argument("--threads", type=int, default=physical_cores(), help="all physical cores by default")
    parser.add_argument(
        "--repeats", type=int, default=5, help="turns of each engine; float32 has half of them"
    )
    parser.add_argument("--rows", help="only rows whose names contain one of these, separated by commas")
    parser.add_argument("--quick", action="store_true", help="mini, few texts, one turn: does it work?")
    parser.add_argument("--output", type=Path, help="benchmarks/results/inference.json by default")
    options = parser.parse_args()
    if options.quick:
        options.encoder = options.encoder or "mini"
        options.repeats = 1
    if options.output is None:
        options.output = _CACHE / "quick.json" if options.quick else _HERE / "results" / "inference.json"
    return options


def main() -> None:
    """Measure, print, write, draw."""
    options = parse()
    folder = run_apart(preparation.encoder_folder, options.encoder, _CACHE)
    sizes = (24, 8) if options.quick else (96, 32)
    workloads = run_apart(preparation.workloads, folder, *sizes)
    job = Job(folder=folder, threads=options.threads, workloads=workloads, quick=options.quick)
    rows = chosen_rows(options)
    results, about = measure(rows, job, options.repeats)
    shown = {name: describe(workload) for name, workload in workloads.items()}
    record = {
        "environment": {
            **environment((package for row in rows for package in row.packages), options.threads),
            "encoder": Path(options.encoder).name
            if options.encoder
            else "BERT-Base, Multilingual Cased, random weights",
            "repeats": options.repeats,
            "mixed": in_words(shown["mixed"]),
            "fixed": in_words(shown["fixed"]),
            **about,
            "not_timed": report.NOT_TIMED,
        },
        "workloads": shown,
        "rows": [result.record() for result in results],
    }
    print_report(record, results, workloads)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    from chart import draw

    draw(record, options.output)
    strangers = record["environment"]["strangers_median"]
    if strangers > _TOO_BUSY:
        note(f"Other programs kept {strangers:.0%} of a core busy: measure again on a quiet machine.")
    note(f"{options.output} and its chart are written.")


if __name__ == "__main__":
    main()
