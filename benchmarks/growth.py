"""Growth: the same job over a thousand rows and a million, at what rate and in how much memory.

Every size is measured in a process of its own, from a CSV file to the finished result: reading, tokenization,
encoder and writing; loading the model is not timed. Texts are one or two rows of the sample that ships
inside the package, drawn by a seed; equal texts are not taken together. "Encoder alone" is the rate at which
the same process runs a thousand of these rows whose ids are at hand, before and after the job.

    python benchmarks/growth.py                        (1,000 to 100,000 rows with mini; some minutes)
    python benchmarks/growth.py --encoder tiny --rows 1000 --rows 1000000
    python benchmarks/growth.py --job embed --encoder FOLDER --precision bfloat16

"tiny" is an encoder of two layers with random weights: what is not the encoder's shows most with it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bertblocks import sample
from machine import environment

RESULTS = Path(__file__).parent / "results" / "growth.json"
SIZES = (1_000, 10_000, 100_000)
MOST_SENTENCES = 2
ROWS_ALONE = 1_000
PASSES_ALONE = 3


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One size.

    Attributes:
        rows: Of the table.
        tokens: That were read.
        seconds: Of the whole job.
        encoder_seconds: Of these, those inside the encoder.
        alone: Tokens a second of the encoder without anything else.
        loaded_mb: Memory of the process once the model is loaded.
        peak_mb: The most that it ever had.
    """

    rows: int
    tokens: int
    seconds: float
    encoder_seconds: float
    alone: float
    loaded_mb: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Tokens a second, from text to result."""
        return self.tokens / self.seconds


def write_table(path: Path, num_rows: int) -> Path:
    """Rows of a number and a text."""
    with sample.evaluation_table().open(encoding="utf-8", newline="") as file:
        sentences = [row["text"] for row in csv.DictReader(file)]
    draw = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "text"])
        for number in range(num_rows):
            writer.writerow([number, " ".join(draw.choices(sentences, k=draw.randint(1, MOST_SENTENCES)))])
    return path


def make_tiny_encoder(folder: Path) -> Path:
    """Two layers of random weights on the multilingual vocabulary."""
    import torch

    from bertblocks.checkpoints import write_checkpoint
    from bertblocks.encoder import BertEncoder, EncoderConfig, initialize
    from bertblocks.text import load_tokenizer

    torch.manual_seed(0)
    tokenizer = load_tokenizer("multilingual-cased")
    config = EncoderConfig(
        vocab_size=tokenizer.vocabulary_size,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
    )
    encoder = BertEncoder(config)
    initialize(encoder)
    write_checkpoint(folder, config=config, encoder=encoder.state_dict(), pooler=None)
    tokenizer.save(folder)
    return folder


def make_model(folder: Path, encoder: str) -> Path:
    """A classifier of three labels on an encoder, its head not trained."""
    from bertblocks.assembly import assemble
    from bertblocks.blocks import Task, text_model

    task = Task(kind="classification", labels=("a", "b", "c"))
    assemble(text_model(task=task, encoder=encoder), task).save(folder)
    return folder


class EncoderClock:
    """Adds up the time during which a forward pass of the encoder is under way, in however many lanes."""

    def __init__(self) -> None:
        from bertblocks.encoder import BertEncoder

        self.seconds = 0.0
        self._lock, self._num_active, self._begin = threading.Lock(), 0, 0.0
        forward = BertEncoder.forward

        def timed(encoder: BertEncoder, *arguments: Any) -> Any:
            self._count(1)
            try:
                return forward(encoder, *arguments)
            finally:
                self._count(-1)

        BertEncoder.forward = timed  # type: ignore[method-assign]

    def _count(self, change: int) -> None:
        with self._lock:
            now = time.perf_counter()
            if self._num_active:
                self.seconds += now - self._begin
            self._num_active, self._begin = self._num_active + change, now


def measure(options: argparse.Namespace) -> Measured:
    """Run the job over one table, in this process."""
    from bertblocks.data import open_table
    from bertblocks.inference import Predictor, embed_table, load_encoder, predict_table

    set_threads(options.threads)
    table = open_table(options.table)
    clock = EncoderClock()
    if options.job == "predict":
        predictor = Predictor.load(options.model, precision=options.precision)
        encode, compute = predictor.model.encode, predictor.predict_encoded
    else:
        encoder = load_encoder(options.model, precision=options.precision)
        encode = encoder.tokenizer.encode

        def compute(ids: Any, *, deduplicate: bool) -> Any:
            return encoder.vectors(ids, encoder.pooling, deduplicate=deduplicate)

    ids = encode(next(iter(table.batches(["text"], ROWS_ALONE))).columns["text"])

    def rates_alone() -> list[float]:
        rates = []
        for _ in range(PASSES_ALONE):
            begin = time.perf_counter()
            compute(ids, deduplicate=False)
            rates.append(sum(map(len, ids.ids)) / (time.perf_counter() - begin))
        return rates

    # The first pass prepares kernels for the lengths that there are.
    compute(ids, deduplicate=False)
    loaded_mb, alone = memory_mb("VmRSS"), rates_alone()
    clock.seconds = 0.0
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as work:
        if options.job == "predict":
            report = predict_table(predictor, table, Path(work) / "answers.csv", deduplicate=False)
        else:
            report = embed_table(encoder, table, Path(work) / "out.npy", text="text", deduplicate=False)
        seconds, encoder_seconds = time.perf_counter() - begin, clock.seconds
    return Measured(
        rows=report.num_rows,
        tokens=report.num_tokens_read,
        seconds=seconds,
        encoder_seconds=encoder_seconds,
        alone=statistics.median([*alone, *rates_alone()]),
        loaded_mb=loaded_mb,
        peak_mb=memory_mb("VmHWM"),
    )


def set_threads(threads: int) -> None:
    """Of torch; 0 leaves its own number."""
    import torch

    if threads:
        torch.set_num_threads(threads)


def memory_mb(kind: Literal["VmRSS", "VmHWM"]) -> float:
    """Of this process, now (VmRSS) or at most so far (VmHWM).

    Elsewhere than on Linux it is the most so far, whose count Linux begins with what the parent process had.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    lines = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
    return int(lines[kind].split()[0]) * 1024 / 1e6


def measure_apart(options: argparse.Namespace, model: Path | str, table: Path) -> Measured:
    """Run the job over one table, in a process of its own."""
    command = [sys.executable, __file__, "--job", options.job, "--precision", options.precision]
    command += ["--threads", str(options.threads), "--model", str(model), "--table", str(table)]
    # As the command line sets it: waiting threads soon sleep.
    settings = {"GOMP_SPINCOUNT": "2000", **os.environ}
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", env=settings, check=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def print_table(results: list[Measured]) -> None:
    """A Markdown table, a row a size."""
    print(
        "| rows | tokens | tokens/s | against the first | of the encoder alone | outside the encoder | "
        "memory when loaded | at most |\n|---|---|---|---|---|---|---|---|"
    )
    for found in results:
        print(
            f"| {found.rows:,} | {found.tokens:,} | {found.rate:,.0f} | {found.rate / results[0].rate:.1%} | "
            f"{found.rate / found.alone:.1%} | {1 - found.encoder_seconds / found.seconds:.1%} | "
            f"{found.loaded_mb:,.0f} MB | {found.peak_mb:,.0f} MB |"
        )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, action="append", help="again for more; 1,000 to 100,000 by default"
    )
    parser.add_argument("--job", choices=("predict", "embed"), default="predict")
    parser.add_argument("--encoder", default="mini", help="mini, tiny, or as load_encoder takes it")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--table", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rows = options.rows or list(SIZES)
    return options


def main() -> None:
    """Measure every size, print a table, and write the results with what they were measured on."""
    options = parse()
    if options.table is not None:
        print(json.dumps(asdict(measure(options))))
        return
    results: list[Measured] = []
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        model: Path | str = options.encoder
        if options.encoder == "tiny":
            model = make_tiny_encoder(folder / "tiny")
        if options.job == "predict":
            model = make_model(folder / "model", str(model))
        for num_rows in options.rows:
            table = write_table(folder / f"{num_rows}.csv", num_rows)
            results.append(measure_apart(options, model, table))
            print(f"{num_rows:,} rows: {results[-1].rate:,.0f} tokens/s", file=sys.stderr, flush=True)
    print_table(results)
    record = {
        "environment": environment(["numpy", "tokenizers", "torch"], options.threads),
        "settings": {name: getattr(options, name) for name in ("job", "encoder", "precision")},
        "results": [asdict(found) for found in results],
    }
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
