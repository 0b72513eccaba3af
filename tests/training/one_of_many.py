"""One of the processes that a test starts: it does runs with the others, and notes what came of them.

python one_of_many.py JOBS RESULT      (with torchrun's variables; JOBS and RESULT are files of pickle)
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def together(jobs: Sequence[dict[str, Any]], folder: Path, *, count: int = 2) -> list[list[dict[str, Any]]]:
    """Do runs in several processes.

    Args:
        jobs: Keywords of tiny_runs.run; besides "stop_after", a step after which it is stopped.
        folder: For what is handed over.
        count: How many processes.

    Returns:
        What every process noted of every run.
    """
    (folder / "jobs").write_bytes(pickle.dumps(list(jobs)))
    port = free_port()
    started = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder / "jobs"), str(folder / f"result-{rank}")],
            env=variables(rank, count, port),
            stderr=subprocess.PIPE,
        )
        for rank in range(count)
    ]
    errors = [process.communicate(timeout=300)[1].decode() for process in started]
    assert not any(process.returncode for process in started), "\n".join(errors)
    return [pickle.loads((folder / f"result-{rank}").read_bytes()) for rank in range(count)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def variables(rank: int, count: int, port: int) -> dict[str, str]:
    """As torchrun sets them."""
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    return {
        **os.environ,
        **{name: str(value) for name, value in own.items()},
        "MASTER_ADDR": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
    }


class StoppedError(Exception):
    """Stands for a kill of all processes."""


def main() -> None:
    """Do the runs."""
    import torch
    from tiny_runs import run, weights

    from bertblocks.training import StepDone, joined_processes

    torch.set_num_threads(1)
    jobs, results = pickle.loads(Path(sys.argv[1]).read_bytes()), []
    with joined_processes() as processes:
        for job in jobs:
            events: list[Any] = []
            stop_after = job.pop("stop_after", None)

            def listen(event: Any, events: list[Any] = events, stop_after: int | None = stop_after) -> None:
                events.append(event)
                if isinstance(event, StepDone) and event.step == stop_after:
                    raise StoppedError

            if not processes.is_first:
                job["work"] = None
            try:
                found = run(**job, on_event=listen, processes=processes)
                noted = {
                    "weights": weights(found),
                    "task": found.model.task,
                    "outcome": found.outcome,
                }
            except StoppedError:
                noted = {}
            results.append({"events": events, **noted})
    Path(sys.argv[2]).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main()
