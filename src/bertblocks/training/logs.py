"""What a run leaves to be read later: training.jsonl, and TensorBoard's events where they are wanted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from bertblocks._files import write_text_atomically
from bertblocks._foreign_files import is_there
from bertblocks.errors import MissingPackageError
from bertblocks.training.events import EpochDone, Event, StepDone

LOG_FILE = "training.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class RunLog:
    """Writes every step and epoch as a line of JSON; a context manager.

    A resumed run repeats the steps since its checkpoint: their old lines are dropped first.

    Args:
        work: The run's folder.
        tensorboard: Whether to write TensorBoard events too.

    Raises:
        MissingPackageError: If TensorBoard is wanted and not installed.
    """

    def __init__(self, work: Path, *, tensorboard: bool) -> None:
        self._path = work / LOG_FILE
        self._file: Any = None
        self._events = work / TENSORBOARD_FOLDER
        self._make_writer = _summary_writer() if tensorboard else None
        self._writer: Any = None

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._writer is not None:
            self._writer.close()

    def __call__(self, event: Event) -> None:
        """Take an event; only steps and epochs are written."""
        if not isinstance(event, StepDone | EpochDone):
            return
        if self._file is None:
            self._begin(event)
        kind = "step" if isinstance(event, StepDone) else "epoch"
        self._file.write(json.dumps({"event": kind, **asdict(event)}) + "\n")
        self._file.flush()
        if self._writer is not None:
            _write_scalars(self._writer, event)

    def _begin(self, first: StepDone | EpochDone) -> None:
        kept = self._drop_repeated(first)
        self._file = self._path.open("a", encoding="utf-8", newline="\n")
        if self._make_writer is not None:
            # TensorBoard itself hides what an earlier try wrote from this step on.
            self._writer = self._make_writer(str(self._events), purge_step=first.step)
            if isinstance(first, EpochDone) and kept and kept[-1].get("event") == "step":
                # Going on with an epoch's end, it hides that step too, which is not done again.
                step = {key: value for key, value in kept[-1].items() if key != "event"}
                _write_scalars(self._writer, StepDone(**step))

    def _drop_repeated(self, first: StepDone | EpochDone) -> list[dict[str, Any]]:
        """Keep the lines of an earlier try up to where this one goes on, and return them."""
        if not self._path.exists():
            return []
        steps_kept = first.step - 1 if isinstance(first, StepDone) else first.step
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines():
            entry = _parsed(line)
            limit = (
                steps_kept if isinstance(first, StepDone) or entry.get("event") == "step" else steps_kept - 1
            )
            if entry.get("step", limit + 1) <= limit:
                kept.append(entry)
        write_text_atomically(self._path, "".join(json.dumps(entry) + "\n" for entry in kept))
        return kept


def read_history(path: Path) -> list[dict[str, Any]]:
    """The steps and epochs of a training.jsonl; none where there is no such file."""
    if not is_there(path):
        return []
    entries = map(_parsed, path.read_text(encoding="utf-8").splitlines())
    return [entry for entry in entries if entry]


def _parsed(line: str) -> dict[str, Any]:
    """A line of the log; a line that a kill cut short is nothing."""
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return entry


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingPackageError("--tensorboard", "tensorboard", "tensorboard") from error
    return SummaryWriter


def _write_scalars(writer: Any, event: StepDone | EpochDone) -> None:
    if isinstance(event, StepDone):
        scalars = {
            "train/loss": event.loss,
            "train/learning_rate": event.learning_rate,
            "train/grad_norm": event.grad_norm,
            "train/tokens_per_s": event.num_tokens / event.seconds,
        }
    else:
        scalars = {f"validation/{name}": v for name, v in event.metrics.items() if v is not None}
    for name, value in scalars.items():
        writer.add_scalar(name, value, event.step)
