"""Scale: a job over a thousand rows and a million, what going on after a kill costs, and Ray.

Three tables, within half an hour on two cores:

- *Rows*: predicting 1,000 to 1,000,000 rows, from a CSV file to a CSV file, each size in a process of its
  own (see growth.py): tokens a second, and the most memory that the process ever had. "tiny" is an encoder
  of two layers with random weights, so that a million rows take minutes; mini, which ships inside, does up
  to 10,000.
- *Going on*: the largest of these jobs once more with all parts but the last done: seconds until it ends.
- *Engines*: one process with all threads; Ray with one worker, and with two, of half the threads each. Ray's
  processes take their time to start, so the rate from the first finished part to the last stands beside
  that of the whole job.

    python benchmarks/scale.py
    python benchmarks/scale.py --most-rows 10000 --ray-rows 4000           (a look, in a minute or two)

Loading the model is not timed. Texts are those of growth.py; equal ones are not taken together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from growth import Measured, make_model, make_tiny_encoder, measure_apart, memory_mb, set_threads, write_table
from machine import environment, physical_cores

RESULTS = Path(__file__).parent / "results" / "scale.json"
MOST_ROWS = 1_000_000
MOST_ROWS_OF_MINI = 10_000
RAY_ROWS = 60_000
# Enough parts that none of the workers waits for another for long.
RAY_SHARD_ROWS = 2_000


@dataclass(frozen=True, kw_only=True)
class JobTimes:
    """How long a job took.

    Attributes:
        engine: Which one, in words.
        rows: Of the table.
        tokens: That were read.
        seconds: From the call to the finished result.
        first_part_s: Until the first part was there; 0 where it is not looked at.
        peak_mb: The most memory of the calling process.
    """

    engine: str
    rows: int
    tokens: int
    seconds: float
    first_part_s: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Tokens a second of the whole job."""
        return self.tokens / self.seconds

    def rate_after_first(self, shard_rows: int) -> float:
        """Tokens a second from the first part to the end, when all processes are there."""
        later = max(0, self.rows - shard_rows) / self.rows
        return self.tokens * later / max(1e-9, self.seconds - self.first_part_s)


def one_process(options: argparse.Namespace, folder: Path) -> JobTimes:
    """The job in this process."""
    from bertblocks.data import open_table
    from bertblocks.inference import Predictor, predict_table

    set_threads(options.threads)
    predictor = Predictor.load(options.model, precision=options.precision)
    begin, times = time.perf_counter(), []
    report = predict_table(
        predictor,
        open_table(options.table),
        f"{folder}/parts/",
        deduplicate=False,
        shard_rows=options.shard_rows,
        on_batch=lambda num_rows: times.append(time.perf_counter() - begin),
    )
    return JobTimes(
        engine=f"one process, {options.threads} threads",
        rows=report.num_rows,
        tokens=report.num_tokens_read,
        seconds=time.perf_counter() - begin,
        first_part_s=times[0],
        peak_mb=memory_mb("VmHWM"),
    )


def on_ray(options: argparse.Namespace, folder: Path) -> JobTimes:
    """The job on workers of Ray's, of half the threads each."""
    from bertblocks.cluster import ray
    from bertblocks.data import open_table
    from bertblocks.inference import Predictor

    half = max(1, options.threads // 2)
    set_threads(half)
    predictor = Predictor.load(options.model, precision=options.precision)
    begin, times = time.perf_counter(), []
    report = ray.predict_table(
        predictor,
        open_table(options.table),
        f"{folder}/parts/",
        resources=ray.RayResources(num_workers=options.workers, cpus_per_worker=half),
        deduplicate=False,
        shard_rows=options.shard_rows,
        on_batch=lambda num_rows: times.append(time.perf_counter() - begin),
    )
    workers = "1 worker" if options.workers == 1 else f"{options.workers} workers"
    return JobTimes(
        engine=f"Ray, {workers} of {half} threads",
        rows=report.num_rows,
        tokens=report.num_tokens_read,
        seconds=time.perf_counter() - begin,
        first_part_s=times[0],
        peak_mb=memory_mb("VmHWM"),
    )


def going_on(options: argparse.Namespace, folder: Path) -> JobTimes:
    """The job once more, of which only the last part is not done."""
    from bertblocks.data import open_table
    from bertblocks.inference import Predictor, predict_table

    set_threads(options.threads)
    predictor = Predictor.load(options.model, precision=options.precision)
    table = open_table(options.table)
    output = f"{folder}/parts/"
    predict_table(predictor, table, output, deduplicate=False, shard_rows=options.shard_rows)
    last = max((folder / "parts").glob("part-*"))
    last.unlink()
    # As a kill leaves it: neither the part nor the end is known.
    for name in (f"{last.stem}.json", "table-000000.json", "report.json"):
        (folder / "parts" / "_job" / name).unlink()
    begin, times = time.perf_counter(), []
    report = predict_table(
        predictor,
        open_table(options.table),
        output,
        deduplicate=False,
        shard_rows=options.shard_rows,
        on_batch=lambda num_rows: times.append(time.perf_counter() - begin),
    )
    return JobTimes(
        engine="going on",
        rows=report.num_rows,
        tokens=report.num_tokens_read,
        seconds=time.perf_counter() - begin,
        first_part_s=times[0],
        peak_mb=memory_mb("VmHWM"),
    )


JOBS = {"one process": one_process, "ray": on_ray, "going on": going_on}


def apart(options: argparse.Namespace, job: str, model: Path, table: Path, **more: Any) -> JobTimes:
    """Do a job in a process of its own."""
    command = [sys.executable, __file__, "--job", job, "--model", str(model), "--table", str(table)]
    command += ["--precision", options.precision, "--threads", str(options.threads)]
    for name, value in more.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    settings = {"GOMP_SPINCOUNT": "2000", **os.environ}
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", env=settings, check=True)
    found = JobTimes(**json.loads(done.stdout.splitlines()[-1]))
    say(f"{found.engine}, {found.rows:,} rows: {found.rate:,.0f} tokens/s")
    return found


def rows_by_decade(options: argparse.Namespace, folder: Path) -> dict[str, list[Measured]]:
    """Every size by encoder."""
    results: dict[str, list[Measured]] = {}
    for encoder, most in (("tiny", options.most_rows), ("mini", min(MOST_ROWS_OF_MINI, options.most_rows))):
        model = model_on(encoder, folder)
        num_rows = 1_000
        while num_rows <= most:
            table = table_of(folder, num_rows)
            growth = argparse.Namespace(**{**vars(options), "job": "predict"})
            results.setdefault(encoder, []).append(measure_apart(growth, model, table))
            say(f"{encoder}, {num_rows:,} rows: {results[encoder][-1].rate:,.0f} tokens/s")
            num_rows *= 10
    return results


def model_on(encoder: str, folder: Path) -> Path:
    """A classifier on an encoder, made once."""
    path = folder / f"model-{encoder}"
    if not path.exists():
        source = str(make_tiny_encoder(folder / "tiny")) if encoder == "tiny" else encoder
        make_model(path, source)
    return path


def table_of(folder: Path, num_rows: int) -> Path:
    """A table of so many rows, made once."""
    path = folder / f"{num_rows}.csv"
    return path if path.exists() else write_table(path, num_rows)


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def print_rows(results: dict[str, list[Measured]]) -> None:
    """A Markdown table of the sizes."""
    print("| encoder | rows | tokens | tokens/s | outside the encoder | memory when loaded | at most |")
    print("|---|---|---|---|---|---|---|")
    for encoder, sizes in results.items():
        for found in sizes:
            print(
                f"| {encoder} | {found.rows:,} | {found.tokens:,} | {found.rate:,.0f} | "
                f"{1 - found.encoder_seconds / found.seconds:.1%} | {found.loaded_mb:,.0f} MB | "
                f"{found.peak_mb:,.0f} MB |"
            )


def print_engines(results: list[JobTimes]) -> None:
    """A Markdown table of the engines."""
    print("\n| engine | rows | seconds | tokens/s | first part after | tokens/s from then on |")
    print("|---|---|---|---|---|---|")
    for found in results:
        print(
            f"| {found.engine} | {found.rows:,} | {found.seconds:.1f} | {found.rate:,.0f} | "
            f"{found.first_part_s:.1f} s | {found.rate_after_first(RAY_SHARD_ROWS):,.0f} |"
        )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most-rows", type=int, default=MOST_ROWS)
    parser.add_argument("--ray-rows", type=int, default=RAY_ROWS, help="0 leaves Ray out")
    parser.add_argument("--engines-encoder", choices=("tiny", "mini"), default="mini")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--output", type=Path, default=RESULTS)
    for hidden in ("--job", "--model", "--table"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--shard-rows", type=int, default=RAY_SHARD_ROWS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure all, print tables, and write the results with what they were measured on."""
    options = parse()
    if options.job is not None:
        with tempfile.TemporaryDirectory() as work:
            print(json.dumps(asdict(JOBS[options.job](options, Path(work)))))
        return
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        rows = rows_by_decade(options, folder)
        largest = table_of(folder, max(found.rows for found in rows["tiny"]))
        resumed = apart(options, "going on", model_on("tiny", folder), largest, shard_rows=16_384)
        engines = []
        if options.ray_rows:
            model, table = model_on(options.engines_encoder, folder), table_of(folder, options.ray_rows)
            engines = [apart(options, "one process", model, table)]
            engines += [apart(options, "ray", model, table, workers=workers) for workers in (1, 2)]
    print_rows(rows)
    print(f"\nGoing on: {resumed.rows:,} rows, {resumed.seconds:.1f} s for the last part.")
    print_engines(engines)
    packages = ["numpy", "pyarrow", "ray", "tokenizers", "torch"]
    record = {
        "environment": environment(packages, options.threads),
        "settings": {"precision": options.precision, "engines_encoder": options.engines_encoder},
        "rows": {encoder: [asdict(found) for found in sizes] for encoder, sizes in rows.items()},
        "going_on": asdict(resumed),
        "engines": [asdict(found) for found in engines],
    }
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
