"""What the other processes of a run do: they read the same rows and train along, and write nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from bertblocks.training.processes import Processes
from bertblocks.training.run import train_model
from bertblocks.training.table_graph import table_graph
from bertblocks.training.table_rows import read_table_rows
from bertblocks.training.table_run import TableRun


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What the first process tells the others when the training begins.

    Attributes:
        precision: Of the products, chosen once.
        resume: Whether it goes on from a checkpoint, which it will send.
    """

    precision: Literal["float32", "bfloat16"]
    resume: bool


NOTHING_TO_DO = "the run had finished before"
"""What the first process tells them instead where there is nothing to train."""


def follow_table(run: TableRun, processes: Processes) -> None:
    """Train along with the process that does train_table.

    Args:
        run: The same as the first process's.
        processes: The run's, of which this is not the first.

    Raises:
        DataError: If the table or its rows cannot be used.
        ConfigError: If the processes read other rows, or training diverges.
    """
    rows = read_table_rows(run, lambda sentence: None)
    graph = table_graph(run, rows.task)
    begun: Begun | str = processes.told(None)
    if not isinstance(begun, Begun):
        return
    train_model(
        graph,
        rows.task,
        rows.train,
        rows.validation,
        replace(run.training, precision=begun.precision),
        resume=begun.resume,
        processes=processes,
    )
