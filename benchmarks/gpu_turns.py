"""Engines on a GPU: each gets its best size of batch, then they take turns; part of gpu.py."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from engines.interface import Job, Row, Setting, Vectors
from engines.process import EngineFailedError, EngineProcess
from measured import Measured, compare
from rounds import note
from trials import Trials


def all_rows(device: str) -> list[Row]:
    """Every engine, ours first."""
    found = [
        _row("bertblocks", "bertblocks", "gpu.Ours"),
        _row("bertblocks-thread", "bertblocks, tokenized in a thread", "gpu.Ours", num_workers=0),
        _row("bertblocks-compiled", "bertblocks, torch.compile", "gpu.Ours", compiled=True),
    ]
    for attention in ("sdpa", "flash_attention_2"):
        for compiled in (False, True):
            name = f"transformers-{attention}{'-compiled' if compiled else ''}"
            label = f"transformers, {attention}{', torch.compile' if compiled else ''}"
            found.append(_row(name, label, "gpu.Transformers", attention=attention, compiled=compiled))
    return [_on(row, device) for row in found]


def reference_row(device: str) -> Row:
    """What the others' vectors are compared with."""
    row = _row("reference", "transformers, float32", "gpu.Transformers", attention="sdpa")
    return _on(row, device, precision="float32")


def _row(name: str, label: str, engine: str, **options: Any) -> Row:
    workloads = ("text",) if name == "bertblocks-thread" else ("mixed", "fixed", "text")
    return Row(
        name=name, label=label, precision="bfloat16", engine=engine, options=options, workloads=workloads
    )


def _on(row: Row, device: str, **options: Any) -> Row:
    row.options.update(device=device, **options)
    return row


def why_not(row: Row, device: str) -> str | None:
    """Why a row cannot be run here; None where it can."""
    if row.options.get("attention") != "flash_attention_2":
        return None
    if device != "cuda":
        return "flash attention needs CUDA"
    return None if importlib.util.find_spec("flash_attn") else "the package flash-attn is not installed"


class Turns:
    """Loads the engines, finds their settings, and lets them take turns."""

    def __init__(self, job: Job, reference: dict[str, Vectors], repeats: int) -> None:
        self._job, self._reference, self._repeats = job, reference, repeats
        self._engines: list[tuple[Measured, EngineProcess, tuple[str, ...]]] = []

    def measure(self, rows: list[Row], device: str) -> list[Measured]:
        """All rows; who fails has a problem instead of figures, and leaves the others alone."""
        results = [Measured(row=row, problem=why_not(row, device)) for row in rows]
        try:
            for result in results:
                if result.problem is None:
                    self._guard(result, self._load, result)
            for workload in ("mixed", "fixed", "text"):
                for result, engine, variants in self._members(workload):
                    self._guard(result, self._choose, result, engine, variants, workload)
                for turn in range(self._repeats):
                    members = self._members(workload)
                    # So that nobody always follows the same neighbour.
                    start = turn % max(1, len(members))
                    for result, engine, _ in members[start:] + members[:start]:
                        self._guard(result, self._take_turn, result, engine, workload)
        finally:
            for _, engine, _ in self._engines:
                engine.close()
        return results

    def _members(self, workload: str) -> list[tuple[Measured, EngineProcess, tuple[str, ...]]]:
        return [
            member
            for member in self._engines
            if member[0].problem is None and workload in member[0].row.workloads
        ]

    def _guard(self, result: Measured, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except EngineFailedError as error:
            result.problem = str(error)
            note(f"{result.row.name}: {error}")

    def _load(self, result: Measured) -> None:
        engine = EngineProcess(result.row, self._job)
        try:
            variants = engine.wait_until_loaded()
        except EngineFailedError:
            engine.close()
            raise
        self._engines.append((result, engine, variants))

    def _choose(
        self, result: Measured, engine: EngineProcess, variants: tuple[str, ...], workload: str
    ) -> None:
        """Try the sizes of batches; from text the mixed ones' is taken, where it is known."""
        source = "mixed" if workload == "text" else workload
        best = result.settings.get(source)
        if best is None:
            trials = Trials(engine=engine, workload=source, half=False, reference=self._reference[source])
            best = trials.choose(variants, engine.shapes(self._job.quick))
            result.tried[source] = trials.record(self._job.workloads[source].num_tokens)
        result.settings[workload] = best
        engine.use(best)
        # Kernels, and compiled code, are prepared for the shapes that they see.
        engine.run_texts(source) if workload == "text" else engine.run(source)
        note(f"{result.row.name}: {workload}: {best}")

    def _take_turn(self, result: Measured, engine: EngineProcess, workload: str) -> None:
        """Time one run; the first time, compare the vectors."""
        keep = workload not in result.cosines
        if workload == "text":
            timed = engine.run_texts("mixed", keep=keep)
        else:
            timed = engine.run(workload, keep=keep)
        result.seconds.setdefault(workload, []).append(timed.seconds)
        if timed.vectors is not None:
            reference = self._reference["mixed" if workload == "text" else workload]
            result.cosines[workload] = compare(timed.vectors, reference)
        result.memory[f"gpu_{workload}"] = engine.gpu_memory()


def reference_vectors(job: Job, device: str) -> dict[str, Vectors]:
    """By transformers in float32, few texts a batch so that little is padded."""
    engine = EngineProcess(reference_row(device), job)
    try:
        engine.wait_until_loaded()
        engine.use(Setting(batch_texts=32))
        timed = {name: engine.run(name, keep=True) for name in ("mixed", "fixed")}
    finally:
        engine.close()
    return {name: answer.vectors for name, answer in timed.items() if answer.vectors is not None}
