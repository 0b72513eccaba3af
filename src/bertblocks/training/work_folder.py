"""The folder of a run that is not done: whose it is, what may go on from it, and how it becomes the model's.

`<output>.unfinished` holds run.json, checkpoints and logs. A killed run leaves it, and nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import torch
from filelock import FileLock, Timeout

from bertblocks._files import write_text_atomically
from bertblocks._version import __version__
from bertblocks.blocks import BertEncoder, Graph
from bertblocks.checkpoints import encoder_files, resolve_encoder
from bertblocks.encoder import choose_training_precision, resolve_device
from bertblocks.errors import ConfigError
from bertblocks.evaluation import REPORT_FILE, default_folder
from bertblocks.text import TOKENIZER_NAMES
from bertblocks.training.checkpoint import BEST, CHECKPOINT
from bertblocks.training.frozen_vectors import VECTORS
from bertblocks.training.table_rows import TableRows
from bertblocks.training.table_run import TableRun

RUN_FILE = "run.json"
# The finished model, until it moves to the output in one step.
MODEL_FOLDER = "model"
# The evaluation of its held-out rows, which moves to its place beside the output.
EVALUATION_FOLDER = "evaluation"
_VALIDATION = "validation"

_LOCK = "lock"

# Settings that change no weight: a resumed run may have others.
_FREE = ("output", "group_by", "baseline", "tensorboard")
_FREE_IN_TRAINING = ("checkpoint_every_s",)

# Going on with another torch, or with more or fewer threads or processes, is not equal to the bit.
_ENVIRONMENT = ("torch", "threads", "processes")


def check_places(run: TableRun, *, resume: bool) -> None:
    """Make sure, before any work, that a model can be put where the run wants it.

    Raises:
        ConfigError: If the output is there already, or cannot be replaced.
    """
    output = Path(run.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        if resume and (output / RUN_FILE).is_file():
            return
        raise ConfigError(f"{output} is there already; choose another --output, or remove it first.")
    report = report_of(run).parent
    if nearest_file := next((place for place in (report, report.parent) if place.is_file()), None):
        raise ConfigError(
            f"{nearest_file} is a file, where the folder of this run's report belongs; choose another "
            "--output."
        )
    if os.path.ismount(output):
        raise ConfigError(
            f"{output} is where a disk is mounted, so that no model can take its place; choose "
            f"{output / 'model'} as --output."
        )
    if _is_foreign(run.work):
        raise ConfigError(
            f"{run.work} is where a run keeps its checkpoints, but what is there is not a run's; choose "
            "another --output, or move it away."
        )


def check_unfinished(run: TableRun, *, resume: bool) -> None:
    """Make sure that a held work folder has nothing in it that would be lost.

    Raises:
        ConfigError: If a run that did not finish is there, and is not to be resumed.
    """
    if not resume and is_worth_keeping(run.work):
        raise ConfigError(
            f"{run.work} holds a run that did not finish; go on with it by --resume, or remove it."
        )


def _is_foreign(work: Path) -> bool:
    """Whether something that no run has made lies where a work folder goes."""
    if not work.is_dir():
        return work.exists()
    return any(path.name != _LOCK for path in work.iterdir()) and not (work / RUN_FILE).is_file()


@contextmanager
def held(work: Path) -> Iterator[None]:
    """Make a work folder and keep other runs out of it; it is gone afterwards if nothing is left in it.

    The operating system lets go of the lock when the process ends, however it ends.

    Raises:
        ConfigError: If a run is under way in it.
    """
    made = [folder for folder in (work, *work.parents) if not folder.exists()]
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"A run keeps its checkpoints in {work}, which cannot be made: {error.strerror}. Choose another "
            "--output."
        ) from error
    lock = FileLock(work / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"Another process is training in {work}; wait for it, or choose another --output."
        ) from None
    try:
        yield
    finally:
        # Removed while it is held, so that no other run takes a lock that is about to go; Windows removes
        # no file that is open.
        if os.name == "nt":
            lock.release()
        if work.is_dir() and all(path.name == _LOCK for path in work.iterdir()):
            _remove(work, made)
        lock.release()


def _remove(work: Path, made: list[Path]) -> None:
    """Remove a work folder in which nothing but the lock is, and parents that were made for it alone."""
    shutil.rmtree(work)
    for parent in made[1:]:
        if any(parent.iterdir()):
            return
        parent.rmdir()


def empty(work: Path) -> None:
    """Remove what a held work folder contains; Windows removes no lock that is held."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def is_worth_keeping(work: Path) -> bool:
    """Whether a work folder holds what took time to compute."""
    return any((work / name).exists() for name in (CHECKPOINT, BEST, VECTORS, MODEL_FOLDER))


def run_identity(run: TableRun, rows: TableRows, graph: Graph, num_processes: int = 1) -> dict[str, Any]:
    """What must be the same for a resumed run to end as the uninterrupted one; written to run.json."""
    return {
        "bertblocks": __version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processes": num_processes,
        "settings": run.to_json(),
        "graph": graph.to_json(),
        "task": rows.task.to_json(),
        "train_rows": len(rows.train),
        "train_sha256": rows.train.fingerprint(),
        "validation_rows": len(rows.validation),
        "validation_sha256": rows.validation.fingerprint(),
        "encoder_sha256": _source_files(graph),
    }


def _source_files(graph: Graph) -> dict[str, str]:
    """The files that the encoder and the tokenizer are read from, each with its sha256."""
    sources = set()
    if not isinstance(graph.encoder, BertEncoder):
        sources.add(str(graph.encoder.weights))
    if graph.tokenizer is not None and graph.tokenizer.vocabulary not in TOKENIZER_NAMES:
        sources.add(str(graph.tokenizer.vocabulary))
    return {
        f"{source}/{name}": sha256
        for source in sorted(sources)
        for name, sha256 in encoder_files(resolve_encoder(source)).items()
    }


def read_record(path: Path) -> dict[str, Any]:
    """Read a run.json.

    Raises:
        ConfigError: If it cannot be read, or is none.
    """
    expected = f"expected a {RUN_FILE}, as a run leaves it in its model's folder"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); {expected}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({error}); {expected}.") from error
    if not isinstance(record, dict) or not isinstance(record.get("settings"), dict):
        raise ConfigError(f"{path} is not the record of a run: it has no 'settings'; {expected}.")
    return record


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a run.json in one step."""
    write_text_atomically(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def check_same_run(folder: Path, identity: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """Make sure that the run.json in a folder was written by this very run.

    Args:
        folder: Holds run.json.
        identity: As run_identity gives it.
        say: Told of what differs without harm.

    Returns:
        The record.

    Raises:
        ConfigError: If settings or data differ, each by name.
    """
    record = read_record(folder / RUN_FILE)
    environment = {key: identity[key] for key in _ENVIRONMENT}
    rest = _that_counts({key: value for key, value in identity.items() if key not in _ENVIRONMENT})
    if differing := _differences(_that_counts({key: record.get(key) for key in rest}), rest):
        raise ConfigError(
            f"{folder} belongs to another run, which differs in {', '.join(differing)}; give the same "
            "settings and data, or remove it to begin anew."
        )
    # Before there could be several processes, there was one.
    begun = {key: record.get(key, 1 if key == "processes" else None) for key in environment}
    if differing := _differences(begun, environment):
        say(
            f"The run began with other {', '.join(differing)}: the model will be as good, but its last bits "
            "may differ."
        )
    return record


def _that_counts(record: dict[str, Any]) -> dict[str, Any]:
    """An identity without the settings that change no weight."""
    settings = {key: value for key, value in record["settings"].items() if key not in _FREE}
    training = settings.get("training")
    training = training if isinstance(training, dict) else {}
    settings["training"] = {key: value for key, value in training.items() if key not in _FREE_IN_TRAINING}
    return {**record, "settings": settings}


def open_work(
    run: TableRun, identity: dict[str, Any], say: Callable[[str], None], *, resume: bool
) -> Literal["float32", "bfloat16"]:
    """Begin a held work folder, or make sure that the one to resume belongs to this very run.

    Returns:
        The precision to train in: chosen once, so that a resumed run does not choose another.

    Raises:
        ConfigError: If the folder belongs to another run.
    """
    path = run.work / RUN_FILE
    if resume and path.exists():
        record = check_same_run(run.work, identity, say)
        write_record(path, {**record, "settings": identity["settings"]})
        begun = record.get("precision")
        if begun not in ("float32", "bfloat16"):
            raise ConfigError(
                f"{path} has precision {begun!r:.50}, expected float32 or bfloat16: it was changed. Remove "
                f"{run.work} to begin anew."
            )
        return cast('Literal["float32", "bfloat16"]', begun)
    precision = choose_training_precision(run.training.precision, resolve_device(run.training.device))
    if not resume:
        # Left by a run that was stopped before it had computed anything, as check_unfinished has seen to.
        empty(run.work)
    write_record(path, {**identity, "precision": precision})
    return precision


def move_to_output(run: TableRun) -> None:
    """Give the finished model its place in one step, then empty the work folder."""
    output = Path(run.output).resolve()
    if output.exists():
        # Empty, as check_places has seen to; Windows replaces no folder, not even an empty one.
        output.rmdir()
    (run.work / MODEL_FOLDER).rename(output)
    move_report(run)
    empty(run.work)


def report_of(run: TableRun) -> Path:
    """Where the page is that tells of a run's held-out rows."""
    return default_folder(Path(run.output), _VALIDATION) / REPORT_FILE


def move_report(run: TableRun) -> None:
    """Give the evaluation its place, instead of an earlier run's."""
    folder = report_of(run).parent
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    (run.work / EVALUATION_FOLDER).rename(folder)


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """Names of the entries in which two nested dictionaries differ."""
    names = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            names += _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            names.append(f"{prefix}{key} ({old!r} then, {new!r} now)")
    return names
