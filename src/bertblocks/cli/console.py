"""What goes where: results to stdout, everything said along the way to stderr."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

# Texts and labels are the users': what looks like rich's markup or emoji codes is printed as it is.
stdout = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
stderr = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

# Wider than any table, where there is no terminal whose lines could break.
_UNBOUNDED_WIDTH = 10_000
# Of lines of prose, where there is no terminal.
_PROSE_WIDTH = 100
# Control characters would break lines and columns, or command the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def prepare_streams() -> None:
    """Let the standard streams take all characters: as UTF-8, or as escapes where a screen has none."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if not stream.isatty():
                stream.reconfigure(encoding="utf-8")
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Tell something along the way."""
    stderr.print(_printable(text))


@contextmanager
def silent() -> Iterator[None]:
    """Leave warnings to another process, which has the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def complain(text: str, kind: Literal["error", "warning"] = "error") -> None:
    """Tell what went wrong."""
    stderr.print(f"{kind}: {_printable(text)}", style="bold red" if kind == "error" else "yellow")


def one_line(text: str) -> str:
    r"""A text with its control characters escaped, so that it stays on its line and in its column."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def print_json(data: Any, *, compact: bool = False) -> None:
    """Print a result for machines."""
    sys.stdout.write(_printable(json.dumps(data, ensure_ascii=False, indent=None if compact else 1)) + "\n")


def shortened(text: str, limit: int) -> str:
    """A text of at most `limit` characters, the last of which show where it was cut."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def print_facts(title: str, facts: list[tuple[str, str]]) -> None:
    """Print names and what they stand for, which may take several lines."""
    stdout.print(title, style="bold")
    indent = max(len(name) for name, _ in facts) + 2
    width = stdout.width if stdout.is_terminal else _PROSE_WIDTH
    # A hash or a path stays whole, so that it can be copied.
    wrapper = textwrap.TextWrapper(max(20, width - indent), break_long_words=False, break_on_hyphens=False)
    for name, value in facts:
        for index, line in enumerate(wrapper.wrap(one_line(value)) or [""]):
            stdout.print(f"{'' if index else name:<{indent}}{line}".rstrip())


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a result for people: the first column left, the others, which are numbers, right."""
    # Not the table's own title, which would be broken at the table's width.
    stdout.print(title, style="bold")
    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(one_line(name), justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(one_line, row))
    if not stdout.is_terminal:
        # Without a terminal rich takes 80 columns, and would break labels over lines.
        Console(width=_UNBOUNDED_WIDTH, highlight=False, markup=False, emoji=False).print(table)
    else:
        stdout.print(table)


def _printable(text: str) -> str:
    """A text without lone surrogates, which no encoding can write."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
