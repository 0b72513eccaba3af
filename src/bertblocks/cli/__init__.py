"""The command line: parse, call, print."""

from bertblocks.cli.app import main

__all__ = ["main"]
