"""The results as Markdown tables."""

from __future__ import annotations

from typing import Any

from measured import Measured
from workloads import SINGLE_LENGTHS, Workload

NOT_TIMED = (
    "Loading, converting, quantizing and compiling; the first runs, which prepare kernels.",
    "Tokenization, except in the column from text (the mixed ones).",
    "Padding is timed, but its tokens are not counted: tokens per second are true tokens.",
)


def speed_table(precision: str, results: list[Measured], workloads: dict[str, Workload]) -> str:
    """Tokens per second of one precision, and the cosine to the reference."""
    lines = [
        f"| {precision}: tokens/s | mixed | fixed | from text | cosine, lowest | mean | setting (mixed) |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in _of(precision, results):
        cells = [
            _rate(result, name, workloads["mixed" if name == "text" else name])
            for name in ("mixed", "fixed", "text")
        ]
        cosines = result.cosines["mixed"]
        cells += [f"{cosines['lowest']:.4f}", f"{cosines['mean']:.4f}", str(result.settings["mixed"])]
        lines.append(_line(_name(result), *cells))
    return "\n".join(lines)


def single_table(results: list[Measured]) -> str:
    """Milliseconds of one text at a time."""
    lengths = " | ".join(f"{length} tokens" for length in SINGLE_LENGTHS)
    lines = [f"| one text at a time: ms | | {lengths} |", "|---|---|" + "---|" * len(SINGLE_LENGTHS)]
    for result in results:
        if "one-16" in result.seconds and not result.problem:
            cells = [_milliseconds(result, f"one-{length}") for length in SINGLE_LENGTHS]
            lines.append(_line(_name(result), result.row.precision, *cells))
    return "\n".join(lines)


def memory_table(results: list[Measured]) -> str:
    """Megabytes of a process that loads the encoder and runs the mixed texts."""
    lines = ["| resident memory: MB | | at most | after the texts |", "|---|---|---|---|"]
    for result in results:
        if result.memory:
            cells = [f"{result.memory['peak']:,.0f}", f"{result.memory['now']:,.0f}"]
            lines.append(_line(_name(result), result.row.precision, *cells))
    return "\n".join(lines)


def product_table(results: list[Measured]) -> str:
    """How near bertblocks is to what its own matrix products allow."""
    lines = [
        "| matrix products: GFLOP/s | | alone | over the encoder's time | their share of it |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        if result.products:
            products = result.products
            cells = [
                f"{products['products_gflops']:,.0f}",
                f"{products['encoder_gflops']:,.0f}",
                f"{products['share']:.0%}",
            ]
            lines.append(_line(_name(result), result.row.precision, *cells))
    return "\n".join(lines)


def left_out(results: list[Measured]) -> str:
    """Who could not be run, and why."""
    return "\n".join(
        f"- {result.row.label} ({result.row.precision}): {result.problem}"
        for result in results
        if result.problem
    )


def surroundings(environment: dict[str, Any]) -> str:
    """Hardware, versions and the command, as a list."""
    versions = ", ".join(
        f"{name} {version or 'missing'}" for name, version in environment["versions"].items()
    )
    processor = environment["processor"]
    if environment["processor_family"]:
        processor += f" (family {environment['processor_family']})"
    lines = [
        f"- {processor}, {environment['cores']} cores, {environment['memory_gb']} GB; "
        f"instructions: {', '.join(environment['instructions']) or 'unknown'}",
        f"- {environment['threads']} threads for everybody, turns taken, medians of {environment['repeats']} "
        f"(float32: {(environment['repeats'] + 1) // 2}; single texts: three times as many)",
        f"- {environment['encoder']}",
        f"- mixed: {environment['mixed']}; fixed: {environment['fixed']}",
        f"- {environment['system']}, Python {environment['python']}, {versions}",
        f"- `{environment['command']}`, {environment['date']}",
        f"- cosine of different texts' vectors, mean: {environment['cosine_of_different_texts']:.2f}",
        f"- engines that waited used at most {environment['waiting_at_most']:.0%} of a core, other programs "
        f"usually {environment['strangers_median']:.0%}",
        "- not timed: " + " ".join(NOT_TIMED),
    ]
    return "\n".join(lines)


def _of(precision: str, results: list[Measured]) -> list[Measured]:
    return [result for result in results if result.row.precision == precision and not result.problem]


def _name(result: Measured) -> str:
    return f"**{result.row.label}**" if result.row.is_default else result.row.label


def _rate(result: Measured, name: str, workload: Workload) -> str:
    if name not in result.seconds:
        return "–"
    if not result.is_right(name):
        return _wrong(result, name)
    return f"{workload.num_tokens / result.median(name):,.0f}"


def _milliseconds(result: Measured, name: str) -> str:
    if not result.is_right(name):
        return _wrong(result, name)
    return f"{1000 * result.median(name):.1f}"


def _wrong(result: Measured, name: str) -> str:
    return f"wrong vectors (cosine {result.cosines[name]['lowest']:.2f})"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
