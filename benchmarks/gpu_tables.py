"""The tables of gpu.py."""

from __future__ import annotations

import statistics
from typing import Any

import gpu_training
from engines.interface import Job
from gpu_peak import encoder_flops
from measured import Measured

_GOAL = 0.55
NOT_TIMED = (
    "Loading and compiling; the first runs, which prepare kernels; tokenization, except from text. Padding "
    "is timed, but tokens per second are true tokens, and a share of the peak counts their matrix products "
    "alone (for bertblocks without those that its last layer leaves out)."
)


def is_ours(result: Measured) -> bool:
    """Whether it is what the others are compared with."""
    return result.row.engine == "gpu.Ours"


def inference_table(results: list[Measured], job: Job, facts: dict[str, Any], workload: str) -> str:
    """Tokens per second, share of the peak, cosines and memory on one workload."""
    source = job.workloads["mixed" if workload == "text" else workload]
    shown = "from text (mixed)" if workload == "text" else f"from token ids, {workload}"
    lines = [
        f"| {shown} | tokens/s | of measured peak | of data sheet | cosine, lowest | mean | GPU MB | setting "
        "|",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        if workload not in result.row.workloads:
            continue
        if result.problem is not None or workload not in result.seconds:
            lines.append(f"| {result.row.label} | {result.problem} | | | | | | |")
            continue
        speed = "wrong vectors"
        if result.is_right(workload):
            speed = f"{source.num_tokens / result.median(workload):,.0f}"
        shares = shares_of_peak(result, job, facts, workload)
        cells = ["–" if share is None else f"{share:.1%}" for share in shares.values()]
        cosines = result.cosines[workload]
        cells += [f"{cosines['lowest']:.4f}", f"{cosines['mean']:.4f}"]
        cells += [
            f"{result.memory[f'gpu_{workload}']:,.0f}",
            str(result.settings[workload]).removesuffix(", its own batches"),
        ]
        lines.append(f"| {result.row.label} | {speed} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shares_of_peak(
    result: Measured, job: Job, facts: dict[str, Any], workload: str
) -> dict[str, float | None]:
    """The matrix products' operations a second by those of one large product, and by the data sheet's."""
    source = job.workloads["mixed" if workload == "text" else workload]
    flops = encoder_flops(job.folder, map(len, source.ids), first_only=is_ours(result))
    tflops = flops / result.median(workload) / 1e12
    sheet = facts["data_sheet_tflops"]
    return {
        "measured": tflops / facts["measured_tflops"],
        "data_sheet": None if sheet is None else tflops / sheet,
    }


def training_table(runs: dict[str, list[dict[str, float]]]) -> str:
    """Texts a second and memory of both sides."""
    speed = {side: statistics.median(run["texts_per_s"] for run in found) for side, found in runs.items()}
    lines = ["| fine-tuning, mixed | texts/s | × the Trainer | GPU MB |", "|---|---|---|---|"]
    for side, found in runs.items():
        memory = statistics.median(run["gpu_mb"] for run in found)
        ratio = speed[side] / speed["trainer"]
        lines.append(f"| {gpu_training.SIDES[side]} | {speed[side]:,.1f} | {ratio:.2f} | {memory:,.0f} |")
    return "\n".join(lines)


def verdict(results: list[Measured], job: Job, facts: dict[str, Any]) -> str:
    """Whether the goal is reached, by bertblocks as its users call it, from text."""
    ours = next((result for result in results if result.row.name == "bertblocks"), None)
    if ours is None or ours.problem is not None or not ours.is_right("text"):
        problem = "it was not asked for" if ours is None else ours.problem or "the vectors are wrong"
        return f"No verdict on bertblocks: {problem}."
    share = shares_of_peak(ours, job, facts, "text")["measured"] or 0.0
    reached = "reached" if share >= _GOAL else "missed"
    return (
        f"From text to vectors bertblocks uses {share:.1%} of the measured peak; the goal of {_GOAL:.0%} is "
        f"{reached}."
    )


def surroundings(record: dict[str, Any]) -> str:
    """Hardware, versions and the command, as a list."""
    about, facts = record["environment"], record["device"]
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in about["versions"].items())
    sheet = facts["data_sheet_tflops"]
    return "\n".join(
        [
            f"- {facts['name']}, {facts['memory_gb'] or '–'} GB, CUDA {facts['cuda'] or '–'}; bfloat16 peak: "
            f"measured {facts['measured_tflops']:,.1f} TFLOP/s, data sheet {sheet or 'unknown'}",
            f"- {about['processor']}, {about['cores']} cores, {about['threads']} threads; Python "
            f"{about['python']}, {versions}",
            f"- {record['encoder']}; mixed: {record['workloads']['mixed']}; fixed: "
            f"{record['workloads']['fixed']}",
            f"- medians of {record['repeats']} alternating runs; `{about['command']}`, {about['date']}",
            f"- not timed: {NOT_TIMED}",
        ]
    )
