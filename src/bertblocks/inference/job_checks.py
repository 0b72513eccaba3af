"""What every job over tables is checked for, and what its messages call its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bertblocks.data import Table, TokenIdsColumn, column_name
from bertblocks.data.tables import check_alike
from bertblocks.inference.result_tables import check_table
from bertblocks.inference.table_job import TableJob


def source_name(tables: Sequence[Table]) -> str:
    """What messages call the tables of a job."""
    return str(tables[0].path) if len(tables) == 1 else f"{len(tables)} tables"


def checked(job: TableJob) -> TableJob:
    """The job, its limit divided among the tables, if all of its columns are there.

    Raises:
        DataError: If a column is missing, has a result's name, or tables differ in their columns.
    """
    needed = [column_name(column) for column in job.inputs]
    results = [] if job.is_array else list(job.result_kinds)
    for table in job.tables:
        check_table(table, [*needed, *(job.options.columns or ())], results, job.options.columns)
        for column in job.inputs:
            if isinstance(column, TokenIdsColumn):
                column.check_table(table)
    check_alike(job.tables, job.read)
    return job.limited()


def environment_of(kernels: Any, device: torch.device) -> dict[str, Any]:
    """What the last digits of a result may depend on besides."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "kernels": str(kernels),
        "device": device.type,
    }
