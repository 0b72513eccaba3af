"""The commands joined, and what becomes of errors: one clear message, no traceback, exit status 2 or 1."""

from __future__ import annotations

import inspect
import logging
import os
import re
import sys
import warnings
from typing import Annotated, TextIO

import typer

from bertblocks._version import __version__
from bertblocks.cli.compare import compare
from bertblocks.cli.console import complain, prepare_streams
from bertblocks.cli.convert import convert
from bertblocks.cli.embed import embed
from bertblocks.cli.evaluate import evaluate
from bertblocks.cli.explain import explain
from bertblocks.cli.info import info
from bertblocks.cli.predict import predict
from bertblocks.cli.quickstart import quickstart
from bertblocks.cli.sections import SectionedCommand
from bertblocks.cli.serve import serve
from bertblocks.cli.train import train
from bertblocks.errors import BertBlocksError, ConfigError

app = typer.Typer(
    name="bertblocks",
    help="Classify and score texts in a hundred languages with BERT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_COMMANDS = (quickstart, train, evaluate, compare, predict, explain, embed, serve, convert, info)
for command in _COMMANDS:
    # Only this one has more options than fit a screen.
    app.command(cls=SectionedCommand if command is train else None)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Classify and score texts in a hundred languages with BERT."""


def main() -> None:
    """Run the command line: exit status 0 on success, 2 for a mistake of the caller's, 1 for one of ours."""
    # GNU OpenMP's waiting threads soon sleep, instead of spinning on a core that another program needs: on a
    # busy machine that is up to 5 times as fast, on a quiet one the same. torch reads it when it is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    prepare_streams()
    warnings_shown = _WarningsShown(logging.WARNING)
    logging.getLogger().addHandler(warnings_shown)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app(prog_name="bertblocks")
    except BertBlocksError as error:
        complain(_with_options(str(error)) if isinstance(error, ConfigError) else str(error))
        sys.exit(2)
    except OSError as error:
        complain(f"{error.strerror}: {error.filename}" if error.filename else str(error))
        sys.exit(1)
    finally:
        logging.getLogger().removeHandler(warnings_shown)


def _with_options(message: str) -> str:
    """A message about settings, which the library names as Python does, with the names of the options.

    encoder='random' becomes --encoder random, and label_separator becomes --label-separator. A name of one
    word may be any word, and stays; so does what stands in quotes or in a path.
    """
    names = sorted({name for command in _COMMANDS for name in inspect.signature(command).parameters})
    given = re.compile(rf"\b({'|'.join(names)})=(?:'([^']*)'|(\w+))")
    message = given.sub(lambda found: f"{_option(found[1])} {found[2] or found[3]}", message)
    alone = re.compile(
        rf"(?<![\w/\\.'\"-])({'|'.join(name for name in names if '_' in name)})(?![\w/\\'\"-]|\.\w)"
    )
    return alone.sub(lambda found: _option(found[1]), message)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class _WarningsShown(logging.Handler):
    """Logged warnings as lines for a person, above the bar where there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(self.format(record), kind="warning")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line for a person, without our source code."""
    complain(str(message), kind="warning")
