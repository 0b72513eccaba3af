"""The server under load: how much of the offline rate is left over HTTP, and how long an answer takes.

A server, its worker and the clients are processes of this machine, and share its cores; the offline rate is
that of `TextEncoder.encode` in a process that has them alone. They take turns.

    python benchmarks/serving.py                        BERT-Base, Multilingual Cased, with random weights
    python benchmarks/serving.py --encoder FOLDER       any other encoder
    python benchmarks/serving.py --quick                a minute: does all of it work?
    python benchmarks/serving.py --infinity PYTHON      infinity-emb beside it, of another environment
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import preparation
from engines.process import run_apart
from machine import environment, physical_cores
from servers import Address, bertblocks_server, infinity_server
from workloads import SINGLE_LENGTHS, Workload

_HERE = Path(__file__).parent
_CACHE = _HERE.parent / ".cache" / "benchmark"
_CLIENTS = (1, 8, 32)
_MOST_CLIENTS = _CLIENTS[-1]
_TOO_BUSY = 0.3
NOT_TIMED = "start of the server, loading, JSON in the clients, and each loop's first seconds"


def offline(
    folder: Path, precision: str, threads: int, workloads: dict[str, Workload], repeats: int
) -> dict[str, Any]:
    """What the encoder does without a server; to be called in a process of its own."""
    import torch

    from bertblocks import load_encoder

    torch.set_num_threads(threads)
    encoder = load_encoder(folder, precision=precision, device="cpu")  # type: ignore[arg-type]
    encoder.encode(workloads["mixed"].texts)
    found: dict[str, Any] = {
        "tokens_per_s": workloads["mixed"].num_tokens
        / _median(lambda: encoder.encode(workloads["mixed"].texts), repeats)
    }
    for length in SINGLE_LENGTHS:
        text = workloads[f"one-{length}"].texts
        found[f"one_{length}_ms"] = 1000 * _median(lambda text=text: encoder.encode(text), 5 * repeats)
    return found


def _median(run: Any, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


class Load:
    """Runs the load generator on texts.

    Args:
        folder: For files of texts.
        workloads: The texts.
    """

    def __init__(self, folder: Path, workloads: dict[str, Workload]) -> None:
        self._files = {}
        for name, workload in workloads.items():
            self._files[name] = folder / f"{name}.json"
            given = {"texts": workload.texts, "lengths": [len(row) for row in workload.ids]}
            self._files[name].write_text(json.dumps(given), encoding="utf-8")

    def run(self, address: Address, workload: str, **options: Any) -> dict[str, Any]:
        """Ask a server; options as the load generator's."""
        command = [
            sys.executable,
            str(_HERE / "load_generator.py"),
            "--url",
            address.url,
            "--field",
            address.field,
        ]
        command += ["--texts", str(self._files[workload])]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        if set(found["statuses"]) != {"200"}:
            note(f"not every answer was good: {found['statuses']}")
        return found


def under_load(load: Load, address: Address, seconds: float) -> dict[str, Any]:
    """Closed loops, half of the highest rate by chance, and single texts."""
    found: dict[str, Any] = {
        f"clients_{clients}": load.run(address, "mixed", clients=clients, seconds=seconds)
        for clients in _CLIENTS
    }
    rate = found[f"clients_{_MOST_CLIENTS}"]["texts_per_s"] / 2
    found["half_load"] = load.run(address, "mixed", rate=rate, seconds=2 * seconds)
    for length in SINGLE_LENGTHS:
        found[f"one_{length}"] = load.run(address, f"one-{length}", clients=1, seconds=seconds / 3)
    return found


def ratios(offline_rate: dict[str, Any], served: dict[str, Any]) -> dict[str, float]:
    """What the goals are about."""
    return {
        "share_of_offline": served[f"clients_{_MOST_CLIENTS}"]["tokens_per_s"] / offline_rate["tokens_per_s"],
        "p99_at_half_load_by_256": served["half_load"]["p99_ms"] / served["one_256"]["p50_ms"],
        **{
            f"overhead_{length}_ms": served[f"one_{length}"]["p50_ms"] - offline_rate[f"one_{length}_ms"]
            for length in SINGLE_LENGTHS
        },
    }


@contextmanager
def workplace(options: argparse.Namespace) -> Iterator[tuple[Path, dict[str, Workload], Load]]:
    """The encoder's folder, the texts, and what asks about them."""
    folder = run_apart(preparation.encoder_folder, options.encoder, _CACHE)
    workloads = run_apart(preparation.workloads, folder, 24 if options.quick else 96, 8)
    with tempfile.TemporaryDirectory() as files:
        yield folder, workloads, Load(Path(files), workloads)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All rounds: offline, ours, and infinity where it is there."""
    rounds: list[dict[str, Any]] = []
    loads: list[float] = []
    with workplace(options) as (folder, workloads, load):
        for number in range(options.rounds):
            loads.append(os.getloadavg()[0])
            note(f"round {number + 1}: without a server")
            offline_rate = run_apart(
                offline, folder, options.precision, options.threads, workloads, 1 if options.quick else 3
            )
            note(f"round {number + 1}: bertblocks serve")
            with bertblocks_server(folder, options.precision, options.threads) as address:
                served = under_load(load, address, options.seconds)
            found = {"offline": offline_rate, "bertblocks": served, "ratios": ratios(offline_rate, served)}
            if options.infinity:
                note(f"round {number + 1}: infinity")
                with infinity_server(options.infinity, folder, options.threads, options.engine) as address:
                    found["infinity"] = under_load(load, address, options.seconds)
                most = f"clients_{_MOST_CLIENTS}"
                theirs = found["infinity"][most]["tokens_per_s"]
                found["ratios"]["times_infinity"] = served[most]["tokens_per_s"] / theirs
            rounds.append(found)
    medians = {
        name: statistics.median(found["ratios"][name] for found in rounds) for name in rounds[0]["ratios"]
    }
    # Before the first round, when nothing of ours has run yet.
    return {"medians": medians, "load_before": loads[0], "rounds": rounds}


def print_report(record: dict[str, Any]) -> None:
    """Tables of the last round, and the medians of all."""
    last = record["rounds"][-1]
    print("| | texts/s | tokens/s | p50 | p99 |\n|---|---|---|---|---|")
    print(f"| without a server | | {last['offline']['tokens_per_s']:,.0f} | | |")
    for server in ("bertblocks", "infinity"):
        for name, row in last.get(server, {}).items():
            print(
                f"| {server}, {name.replace('_', ' ')} | {row['texts_per_s']:.1f} "
                f"| {row['tokens_per_s']:,.0f} | "
                f"{row['p50_ms']:.1f} ms | {row['p99_ms']:.1f} ms |"
            )
    print()
    for name, value in record["medians"].items():
        print(f"{name.replace('_', ' ')}: {value:.3g}")


def note(text: str) -> None:
    """Say something along the way."""
    print(text, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", help="a folder or a named encoder; BERT-Base at random by default")
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int, default=physical_cores(), help="all physical cores by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each loop")
    parser.add_argument("--infinity", help="a Python that has infinity-emb")
    parser.add_argument("--engine", default="optimum", help="of infinity: optimum (onnxruntime) or torch")
    parser.add_argument("--quick", action="store_true", help="mini, one round, short loops: does it work?")
    parser.add_argument("--output", type=Path, help="benchmarks/results/serving.json by default")
    options = parser.parse_args()
    if options.quick:
        options.encoder = options.encoder or "mini"
        options.rounds, options.seconds = 1, 3.0
    if options.output is None:
        options.output = (
            _CACHE / "serving-quick.json" if options.quick else _HERE / "results" / "serving.json"
        )
    return options


def main() -> None:
    """Measure, print, write."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    options = parse()
    measured = measure(options)
    record = {
        "environment": {
            **environment(("torch", "uvicorn", "starlette", "h11"), options.threads),
            "encoder": options.encoder or "BERT-Base, Multilingual Cased, random weights",
            "precision": options.precision,
            "not_timed": NOT_TIMED,
        },
        **measured,
    }
    print_report(record)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if record["load_before"] > _TOO_BUSY:
        note(f"The machine's load was {record['load_before']} before: measure again when it is quiet.")


if __name__ == "__main__":
    main()
