"""What goes where: results to stdout, everything said along the way to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Tell something along the way."""
    stderr.print(text, markup=False)


def complain(text: str, kind: Literal["error", "warning"] = "error") -> None:
    """Tell what went wrong; characters that a terminal cannot show are replaced."""
    readable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    stderr.print(f"{kind}: {readable}", markup=False, style="bold red" if kind == "error" else "yellow")


def print_json(data: Any, *, compact: bool = False) -> None:
    """Print a result for machines."""
    text = json.dumps(data, ensure_ascii=False, indent=None if compact else 1)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a result for people: the first column left, the others right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    stdout.print(table)
