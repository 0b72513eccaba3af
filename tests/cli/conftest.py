from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bertblocks.cli import main
from bertblocks.training import TableRun, TrainingSettings, train_table
from tiny_tables import CLUES, class_texts, label_lists, numbers, write_csv


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Several threads make tiny tensors slow on busy cores, and equality to the bit needs a fixed number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command did: its exit status, and what it wrote where."""

    status: int
    out: str
    err: str

    @property
    def is_refusal(self) -> bool:
        """Whether it ended as a mistake of the caller's should: status 2, one message, nothing else.

        The message is in the words of the command line: no keyword='argument', and no None.
        """
        is_clear = "Traceback" not in self.err and self.err.count("error: ") == 1
        is_python = re.search(r"\b[a-z_]+='|\bNone\b", self.err)
        return self.status == 2 and not self.out and is_clear and not is_python


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Calls the command line in this process."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: Any, stdin: bytes | None = None) -> Ended:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["bertblocks", *map(str, arguments)])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="cp1252"))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(status=ended.value.code or 0, out=captured.out, err=captured.err)

    return call


@pytest.fixture(scope="session")
def encoder(tiny_encoder: Callable[[str], Path]) -> Path:
    return tiny_encoder("cased")


@pytest.fixture(scope="session")
def _train(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def train(columns: dict[str, Any], *, baseline: bool = False, **options: Any) -> Path:
        folder = tmp_path_factory.mktemp("trained")
        torch.set_num_threads(1)
        settings = TrainingSettings(precision="float32", epochs=20, patience=99, learning_rate=5e-3)
        run = TableRun(
            **{"text": "text", "target": "label", **options},
            table=str(write_csv(folder / "table.csv", columns)),
            output=str(folder / "model"),
            encoder=str(encoder),
            baseline=baseline,
            training=settings,
        )
        return train_table(run).folder

    return train


@pytest.fixture(scope="session")
def model(_train: Callable[..., Path]) -> Path:
    """Classifies texts as bad, colour or good; trained with a baseline."""
    texts, labels = class_texts(300, tuple(CLUES))
    return _train({"text": texts, "label": labels}, baseline=True)


@pytest.fixture(scope="session")
def pair_model(_train: Callable[..., Path]) -> Path:
    """Gives a number for two texts in the columns "text" and "second"."""
    texts, values = numbers(200)
    columns = {"text": ["the film"] * 200, "second": texts, "label": [value + 0.5 for value in values]}
    return _train(columns, text_pair="second")


@pytest.fixture(scope="session")
def label_model(_train: Callable[..., Path]) -> Path:
    """Gives a text several labels, which stood in one cell, separated by "|"."""
    texts, labels = label_lists(300)
    return _train({"text": texts, "label": ["|".join(row) for row in labels]}, label_separator="|")
