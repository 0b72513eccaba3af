"""On a CUDA GPU, in bfloat16: bertblocks beside transformers with SDPA and with flash attention.

Inference from token ids and from text to the first token's vector, on mixed lengths and on 128 tokens each;
then fine-tuning beside transformers' Trainer. Every engine has a process of its own and the best of a few
sizes of batch; they take turns, and their vectors are compared with transformers' in float32. Prints tables
and writes every run as JSON.

    python benchmarks/gpu.py                            BERT-Base, Multilingual Cased, with random weights
    python benchmarks/gpu.py --encoder FOLDER           any other encoder
    python benchmarks/gpu.py --device cpu --quick       a minute on a CPU: does all of it work?

The second kind of attention needs the package flash-attn; without it the table says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import gpu_tables
import gpu_training
import preparation
from engines.interface import Job
from engines.process import run_apart
from gpu_peak import device_facts
from gpu_turns import Turns, all_rows, reference_vectors
from machine import environment, physical_cores
from measured import Measured
from rounds import note
from workloads import Workload

_HERE = Path(__file__).parent
_CACHE = _HERE.parent / ".cache" / "benchmark"
_PACKAGES = ("torch", "transformers", "tokenizers", "flash-attn", "triton", "accelerate")
_NO_GPU = (
    "benchmarks/gpu.py needs a CUDA GPU, and torch {version} finds none here. With --device cpu --quick all "
    "of it runs on a CPU, which shows that it works and measures nothing."
)


def measure_training(folder: Path, texts: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Both sides in turns, each run in a process of its own."""
    runs: dict[str, Any] = {side: [] for side in gpu_training.SIDES}
    for seed in range(options.repeats):
        for side, found in runs.items():
            found.append(run_apart(gpu_training.run_side, side, folder, texts, options.device, seed))
            note(f"training, {side}: {found[-1]}")
    return runs


def make_workloads(folder: Path, options: argparse.Namespace) -> dict[str, Workload]:
    """Mixed and fixed texts, each several times, for a GPU reads thousands of them in a moment."""
    made = run_apart(preparation.workloads, folder, options.texts, options.texts // 4)
    return {
        name: Workload(
            texts=made[name].texts * options.copies,
            # As a tokenizer gives them: turning Python's lists into arrays is nobody's work here.
            ids=[np.array(row, dtype=np.int32) for row in made[name].ids] * options.copies,
        )
        for name in ("mixed", "fixed")
    }


def cuda_is_there() -> tuple[bool, str]:
    """Whether torch finds a GPU, and torch's version; to be called in a process of its own."""
    import torch

    return torch.cuda.is_available(), torch.__version__


def describe(workload: Workload) -> str:
    """One line about a workload."""
    lengths = [len(row) for row in workload.ids]
    return (
        f"{len(lengths):,} texts, {sum(lengths):,} tokens, {min(lengths)} to {max(lengths)} each, median "
        f"{np.median(lengths):.0f}"
    )


def print_report(record: dict[str, Any], results: list[Measured], job: Job) -> None:
    """All tables."""
    facts = record["device"]
    parts = [gpu_tables.inference_table(results, job, facts, name) for name in ("mixed", "fixed", "text")]
    parts.append(gpu_tables.training_table(record["training"]))
    if facts["cuda"] is None:
        parts.append("Run on a CPU: none of this is a measurement. Left out: flash attention, GPU memory.")
    else:
        parts.append(gpu_tables.verdict(results, job, facts))
    parts.append(gpu_tables.surroundings(record))
    print("\n\n".join(parts))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", help="a folder or a named encoder; random weights without it")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--repeats", type=int, default=5, help="turns of each engine")
    parser.add_argument("--texts", type=int, default=4096, help="mixed ones that differ from each other")
    parser.add_argument("--copies", type=int, default=5, help="how often each of them comes")
    parser.add_argument("--training-texts", type=int, default=3200, help="a multiple of 32, at least 96")
    parser.add_argument("--rows", help="only engines whose names contain one of these, separated by commas")
    parser.add_argument("--quick", action="store_true", help="mini, few texts, one turn: does it work?")
    parser.add_argument("--output", type=Path, help="benchmarks/results/gpu.json by default")
    options = parser.parse_args()
    if options.quick:
        options.encoder = options.encoder or "mini"
        options.texts, options.copies, options.training_texts, options.repeats = 12, 1, 96, 1
    if options.training_texts % 32 or options.training_texts < 96:
        parser.error("--training-texts must be a multiple of 32, at least 96.")
    if options.output is None:
        options.output = _CACHE / "gpu-quick.json" if options.quick else _HERE / "results" / "gpu.json"
    return options


def main() -> None:
    """Measure, print, write."""
    options = parse()
    is_there, version = run_apart(cuda_is_there)
    if options.device == "cuda" and not is_there:
        sys.exit(_NO_GPU.format(version=version))
    folder = run_apart(preparation.encoder_folder, options.encoder, _CACHE)
    job = Job(
        folder=folder,
        threads=options.threads,
        workloads=make_workloads(folder, options),
        quick=options.quick,
    )
    facts = run_apart(device_facts, options.device, options.quick)
    note(f"{facts}; now transformers in float32: the vectors that all are compared with")
    reference = reference_vectors(job, options.device)
    wanted = options.rows.split(",") if options.rows else [""]
    rows = [row for row in all_rows(options.device) if any(part in row.name for part in wanted)]
    results = Turns(job, reference, options.repeats).measure(rows, options.device)
    texts = run_apart(preparation.workloads, folder, options.training_texts, 1)["mixed"].texts
    record = {
        "environment": environment(_PACKAGES, options.threads),
        "encoder": Path(options.encoder).name
        if options.encoder
        else "BERT-Base, Multilingual Cased, random weights",
        "device": facts,
        "repeats": options.repeats,
        "workloads": {name: describe(workload) for name, workload in job.workloads.items()},
        "rows": [{**result.record(), "is_ours": gpu_tables.is_ours(result)} for result in results],
        "training": measure_training(folder, texts, options),
        "not_timed": gpu_tables.NOT_TIMED,
    }
    print_report(record, results, job)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    note(f"{options.output} is written.")


if __name__ == "__main__":
    main()
