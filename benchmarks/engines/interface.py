"""What an engine is given, and what it has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workloads import Workload

Vectors = NDArray[np.float32]
Ids = Sequence[Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way to run an engine.

    Attributes:
        streams: Batches that run at the same time; each has its share of the threads.
        batch_texts: Texts of a batch; None leaves it to the engine.
        is_sorted: Whether batches are made of texts of like length.
        variant: What else can be chosen, by the engine's own names.
    """

    streams: int = 1
    batch_texts: int | None = None
    is_sorted: bool = True
    variant: str = ""

    def __str__(self) -> str:
        batch = "its own batches"
        if self.batch_texts is not None:
            batch = f"{self.batch_texts} text{'s' if self.batch_texts > 1 else ''} a batch"
        streams = f"{self.streams} batches at a time" if self.streams > 1 else ""
        return ", ".join(part for part in (self.variant, batch, streams) if part)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all engines get alike.

    Attributes:
        folder: The encoder, a Hugging Face folder in float32.
        threads: Threads that may compute at the same time.
        workloads: By name.
        quick: Whether this only shows that everything works: one setting of each engine.
    """

    folder: Path
    threads: int
    workloads: dict[str, Workload]
    quick: bool

    def converted(self, name: str) -> Path:
        """Where an engine keeps what it made of the encoder; its name tells the version that made it."""
        return self.folder.parent / name


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the tables: an engine with what is fixed about it.

    Attributes:
        name: Unique, and short.
        label: In tables and chart.
        precision: The table it belongs to.
        engine: Module in engines/ and class.
        options: Of the class.
        converts: Whether the class has `prepare`, which makes files of its own from the encoder's.
        packages: Distributions whose versions matter.
        workloads: Of "mixed", "fixed", "text" and "one", those that it takes part in.
    """

    name: str
    label: str
    precision: str
    engine: str
    options: dict[str, Any] = field(default_factory=dict)
    converts: bool = False
    packages: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ("mixed", "fixed", "text", "one")

    @property
    def is_ours(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.engine.startswith("ours.")

    @property
    def is_default(self) -> bool:
        """Whether it is what users of bertblocks get without asking."""
        return self.is_ours and self.options["kernels"] == "auto"


class Engine(Protocol):
    """An encoder, loaded."""

    variants: tuple[str, ...]
    """What can be chosen besides batches; each is tried."""

    def shapes(self, quick: bool) -> list[Setting]:
        """Ways to cut batches that are worth trying, the likeliest first; variants come on top."""

    def use(self, setting: Setting) -> None:
        """Get ready to run this way."""

    def vectors(self, ids: Ids) -> Vectors:
        """First-token vectors of the last layer, in the order of ids."""

    def encode(self, texts: list[str]) -> Vectors:
        """The same from texts."""
