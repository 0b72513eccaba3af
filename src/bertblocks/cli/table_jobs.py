"""What `predict` and `embed` do alike with tables: which rows and columns they take, and where results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bertblocks.cli.console import say
from bertblocks.errors import ConfigError

if TYPE_CHECKING:
    from bertblocks.data import Table
    from bertblocks.inference import OnFailure

ErrorPolicy = Literal["column", "skip", "stop"]


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """The options of a job over tables, as they were typed.

    Attributes:
        output: A file or folder.
        on_error: What becomes of rows that cannot be used; None is the usual.
        skip_bad_rows: An older name of skip.
        columns: Names, separated by commas; None is all.
        limit: Most rows.
        part_format: Of the parts in a folder.
        shard_rows: Rows of a part.
        restart: Whether to begin anew.
    """

    output: str
    on_error: ErrorPolicy | None
    skip_bad_rows: bool
    columns: str | None
    limit: int | None
    part_format: str | None
    shard_rows: int
    restart: bool

    def arguments(self, tables: Sequence[Table]) -> dict[str, Any]:
        """What predict_table and embed_table take of them."""
        return {
            "on_bad_row": self._on_bad_row(),
            "columns": None if self.columns is None else _names(self.columns, tables[0].columns),
            "limit": self.limit,
            "format": self.part_format,
            "shard_rows": self.shard_rows,
            "restart": self.restart,
        }

    def _on_bad_row(self) -> OnFailure:
        if self.skip_bad_rows and self.on_error not in (None, "skip"):
            raise ConfigError(
                f"--skip-bad-rows is --on-error skip, but --on-error is {self.on_error}: leave one of them "
                "out."
            )
        if self.on_error is None:
            is_table = self._is_folder and self.part_format != "npy"
            return "skip" if self.skip_bad_rows else "column" if is_table else "error"
        return "error" if self.on_error == "stop" else self.on_error

    @property
    def _is_folder(self) -> bool:
        from bertblocks.inference.job_output import is_folder

        return is_folder(self.output)

    def check_apart(self, source: str) -> None:
        """Refuse an output inside the folder that is read, where the next try would read it.

        Raises:
            ConfigError: If it is there.
        """
        folder = Path(source)
        if folder.is_dir() and folder.resolve() in [
            Path(self.output).resolve(),
            *Path(self.output).resolve().parents,
        ]:
            raise ConfigError(
                f"The output {self.output} lies in the folder {source}, which is read; choose another place."
            )


def open_sources(source: str, settings: JobSettings, *, encoding: str, sheet: str | None) -> list[Table]:
    """Open the tables of a job.

    Raises:
        DataError: If there are none, or one cannot be read.
        ConfigError: If an option has no effect, or the output lies among them.
    """
    from bertblocks.data.tables import open_tables

    settings.check_apart(source)
    return open_tables(source, encoding=encoding, sheet=sheet, say=say)


def _names(columns: str, known: Sequence[str]) -> list[str]:
    """Names separated by commas; one that has a comma in it may stand alone."""
    if columns in known:
        return [columns]
    return [name for part in columns.split(",") if (name := part.strip())]
