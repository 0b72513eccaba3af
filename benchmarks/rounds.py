"""Engines of one precision, loaded together: each gets its best setting, then they take turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from engines.interface import Job, Row, Setting, Vectors
from engines.process import EngineFailedError, EngineProcess, prepare, run_apart
from measured import Measured, compare
from trials import Trials
from watch import Watch
from workloads import SINGLE_LENGTHS

_BEGIN = time.perf_counter()
_RUNS_OF_ONE = 3


@dataclass(kw_only=True)
class Runner:
    """A row, its process and what is known so far."""

    measured: Measured
    engine: EngineProcess
    variants: tuple[str, ...] = ("",)

    def takes_part(self, workload: str) -> bool:
        """Whether the row is measured on it."""
        return workload in self.measured.row.workloads


@dataclass(kw_only=True)
class Rounds:
    """Measures one group of engines.

    Attributes:
        job: What they all get.
        reference: The right vectors of each workload.
        repeats: Turns of each engine on each workload.
        watch: Sees who else computes.
    """

    job: Job
    reference: dict[str, Vectors]
    repeats: int
    watch: Watch
    _runners: list[Runner] = field(default_factory=list)

    def measure(self, rows: list[Row]) -> list[Measured]:
        """Load the rows, measure all of them, end their processes.

        Raises:
            EngineFailedError: If bertblocks itself fails; a peer's failure is its row's `problem`.
        """
        results = [Measured(row=row) for row in rows]
        try:
            for result in results:
                self._guard(result, self._load, result)
            for workload in ("mixed", "fixed"):
                for runner in self._members(workload):
                    self._guard(runner.measured, self._choose, runner, workload)
                self._take_turns(workload, workload)
            for runner in self._members("text"):
                self._guard(runner.measured, runner.engine.use, runner.measured.settings["mixed"])
            self._take_turns("text", "text")
            self._one_text()
            for runner in self._runners:
                if runner.measured.row.is_ours:
                    runner.measured.products = runner.engine.product_share("mixed", self.repeats)
        finally:
            for runner in self._runners:
                runner.engine.close()
            self.watch.pids.clear()
        return results

    def _load(self, result: Measured) -> None:
        if result.row.converts:
            run_apart(prepare, result.row, self.job)
        engine = EngineProcess(result.row, self.job)
        try:
            variants = engine.wait_until_loaded()
        except EngineFailedError:
            engine.close()
            raise
        self.watch.pids.append(engine.pid)
        self._runners.append(Runner(measured=result, engine=engine, variants=variants))

    def _members(self, workload: str) -> list[Runner]:
        return [
            runner
            for runner in self._runners
            if runner.takes_part(workload) and runner.measured.problem is None
        ]

    def _guard(self, result: Measured, step: Callable[..., object], *arguments: Any) -> None:
        """A peer that fails leaves the others alone."""
        try:
            step(*arguments)
        except EngineFailedError as error:
            if result.row.is_ours:
                raise
            result.problem = str(error)
            note(f"{result.row.name}: {error}")

    def _choose(self, runner: Runner, workload: str) -> None:
        """Find the setting on half of the texts; a variant once found is kept."""
        known = runner.measured.settings.get("mixed")
        variants = runner.variants if known is None else (known.variant,)
        self._try(runner, workload, variants, runner.engine.shapes(self.job.quick), True)

    def _try(
        self, runner: Runner, workload: str, variants: tuple[str, ...], shapes: list[Setting], half: bool
    ) -> None:
        best = replace(shapes[0], variant=variants[0])
        if len(variants) * len(shapes) > 1:
            reference, texts = self.reference[workload], self.job.workloads[workload]
            if half:
                reference, texts = reference[::2], texts.half()
            trials = Trials(engine=runner.engine, workload=workload, half=half, reference=reference)
            best = trials.choose(variants, shapes)
            runner.measured.tried[workload] = trials.record(texts.num_tokens)
        runner.measured.settings[workload] = best
        runner.engine.use(best)
        # Kernels are prepared for the shapes that they see first.
        runner.engine.run(workload, half=half)
        note(f"{runner.measured.row.name}: {workload}: {best}")

    def _one_text(self) -> None:
        for runner in self._members("one"):
            alone = replace(runner.engine.shapes(True)[0], streams=1, batch_texts=1)
            self._guard(runner.measured, self._try, runner, "one-64", runner.variants, [alone], False)
        for length in SINGLE_LENGTHS:
            workload = f"one-{length}"
            for runner in self._members("one"):
                self._guard(runner.measured, runner.engine.run, workload)
            for _ in range(_RUNS_OF_ONE):
                self._take_turns("one", workload)

    def _take_turns(self, measure: str, workload: str) -> None:
        """Let everyone who takes part in a measure run in turn, several times."""
        for turn in range(self.repeats):
            members = self._members(measure)
            # So that nobody always follows the same neighbour.
            start = turn % max(1, len(members))
            for runner in members[start:] + members[:start]:
                self._guard(runner.measured, self._take_turn, runner, workload)

    def _take_turn(self, runner: Runner, workload: str) -> None:
        """Time one run; the first time, compare the vectors. "text" is the mixed workload from its texts."""
        measured = runner.measured
        is_first = workload not in measured.cosines
        with self.watch.during(runner.engine.pid):
            if workload == "text":
                timed = runner.engine.run_texts("mixed", keep=is_first)
            else:
                timed = runner.engine.run(workload, keep=is_first)
        measured.seconds.setdefault(workload, []).append(timed.seconds)
        if timed.vectors is not None:
            measured.cosines[workload] = compare(
                timed.vectors, self.reference["mixed" if workload == "text" else workload]
            )
            note(f"{measured.row.name}: {workload}: {timed.seconds:.3f} s")


def reference_vectors(row: Row, job: Job) -> dict[str, Vectors]:
    """What every engine should answer, by transformers in float32 without padding."""
    engine = EngineProcess(row, job)
    try:
        engine.wait_until_loaded()
        engine.use(engine.shapes(True)[0])
        timed = {name: engine.run(name, keep=True) for name in job.workloads if name != "calibration"}
    finally:
        engine.close()
    return {name: answer.vectors for name, answer in timed.items() if answer.vectors is not None}


def measure_memory(result: Measured, job: Job) -> None:
    """Load an engine anew, run the mixed texts once, and note what its process needed.

    Raises:
        EngineFailedError: If bertblocks fails; a peer's figure is left out.
    """
    engine = EngineProcess(result.row, job)
    try:
        engine.wait_until_loaded()
        engine.use(result.settings["mixed"])
        engine.run("mixed")
        result.memory = engine.memory()
        note(f"{result.row.name}: {result.memory['peak']:.0f} MB")
    except EngineFailedError as error:
        if result.row.is_ours:
            raise
        note(f"{result.row.name}: its memory is not known: {error}")
    finally:
        engine.close()


def note(words: str) -> None:
    """Tell whoever watches."""
    print(f"{time.perf_counter() - _BEGIN:5.0f} s  {words}", file=sys.stderr, flush=True)
