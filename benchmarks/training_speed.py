"""Training at BERT-Base's size: bertblocks beside transformers' Trainer, on texts of mixed lengths.

The same weights (random, of BERT-Base, Multilingual Cased), texts and labels, rate, warm-up, decay, clipping
and dropout; 32 texts a step, on average for bertblocks, which fills a step with so many tokens. Every run has
a process of its own; the sides take turns. The first two steps of each run are not counted: they prepare
kernels and the optimizer's memory. Timed are steps with their batch at hand; loading and tokenization are
not.

    python benchmarks/training_speed.py --output benchmarks/results/training_speed.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import preparation
from engines.process import run_apart
from machine import environment, physical_cores

_CACHE = Path(__file__).parent.parent / ".cache" / "benchmark"
_TEXTS_A_STEP = 32
_UNCOUNTED_STEPS = 2
SIDES = {
    "bertblocks": "bertblocks (bfloat16 by itself)",
    "bertblocks-float32": "bertblocks, float32",
    "trainer-bfloat16": "Trainer, bfloat16",
    "trainer": "Trainer, float32 (its default)",
}


def run_side(side: str, folder: Path, texts: list[str], threads: int, seed: int) -> dict[str, Any]:
    """Train one epoch in this process.

    Returns:
        Texts and tokens a second of the counted steps, and the process's peak memory in MB.
    """
    import numpy as np
    import torch

    from bertblocks.blocks import Task
    from bertblocks.training import LabeledTexts
    from peers import Rows, quiet_transformers

    torch.set_num_threads(threads)
    quiet_transformers()
    task = Task(kind="classification", labels=("a", "b", "c"))
    rows = LabeledTexts(texts=texts, targets=np.arange(len(texts)) % 3)
    everything = Rows(task=task, train=rows, test=rows)
    steps = (_trainer_steps if side.startswith("trainer") else _our_steps)(side, folder, everything, seed)
    counted = steps[_UNCOUNTED_STEPS:]
    seconds = sum(second for second, _ in counted)
    return {"texts_per_s": sum(number for _, number in counted) / seconds, "peak_mb": _peak_mb()}


def _our_steps(side: str, folder: Path, rows: Any, seed: int) -> list[tuple[float, int]]:
    from bertblocks.blocks import text_model
    from bertblocks.text import load_tokenizer
    from bertblocks.training import StepDone, TrainingSettings, train_model
    from peers import WARMUP

    mean_tokens = load_tokenizer(folder).encode(rows.train.texts).num_tokens.mean()
    settings = TrainingSettings(
        epochs=1,
        learning_rate=2e-5,
        head_learning_rate=2e-5,
        warmup_fraction=WARMUP,
        batch_tokens=int(mean_tokens * _TEXTS_A_STEP),
        seed=seed,
        precision="float32" if side.endswith("float32") else "auto",
    )
    steps: list[tuple[float, int]] = []

    def count(event: object) -> None:
        if isinstance(event, StepDone):
            steps.append((event.seconds, event.num_texts))

    graph = text_model(task=rows.task, encoder=str(folder), pooling="cls")
    train_model(graph, rows.task, rows.train, None, settings, on_event=count)
    return steps


def _trainer_steps(side: str, folder: Path, rows: Any, seed: int) -> list[tuple[float, int]]:
    from peers import TransformersTrainer

    trainer = TransformersTrainer(
        folder, rows, epochs=1, learning_rate=2e-5, seed=seed, bfloat16=side.endswith("bfloat16")
    )
    trainer.train()
    return [(seconds, _TEXTS_A_STEP) for seconds in trainer.step_seconds]


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """A Markdown table: medians, and each side as a multiple of the Trainer's."""
    speed = {side: statistics.median(run["texts_per_s"] for run in runs) for side, runs in results.items()}
    lines = [
        "| | texts/s | × Trainer's default | × Trainer's bfloat16 | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    for side, runs in results.items():
        memory = statistics.median(run["peak_mb"] for run in runs)
        multiples = [
            f"{speed[side] / speed[other]:.2f}" if other in speed else "–"
            for other in ("trainer", "trainer-bfloat16")
        ]
        lines.append(f"| {SIDES[side]} | {speed[side]:.2f} | {' | '.join(multiples)} | {memory:,.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the sides in turns, print the table and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", help="another encoder's name or folder; random weights without it")
    parser.add_argument("--texts", type=int, default=224, help="a multiple of 32, at least 96")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    folder = run_apart(preparation.encoder_folder, options.encoder, _CACHE)
    texts = run_apart(preparation.workloads, folder, options.texts, 1)["mixed"].texts
    results: dict[str, list[dict[str, float]]] = {side: [] for side in options.sides.split(",")}
    for seed in range(options.repeats):
        for side in results:
            results[side].append(run_apart(run_side, side, folder, texts, options.threads, seed))
            print(f"{side}: {results[side][-1]}", file=sys.stderr, flush=True)
    print(table(results))
    if options.output:
        record = {
            "environment": environment(["bertblocks", "torch", "transformers"], options.threads),
            "texts": len(texts),
            "results": results,
        }
        options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
