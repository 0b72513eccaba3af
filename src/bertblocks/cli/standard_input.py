"""Texts from a pipe, one a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bertblocks.data.text_files import is_utf8, unreadable
from bertblocks.errors import DataError

_CHUNK_LINES = 1024
_CHUNK_CHARACTERS = 2_000_000


def line_chunks(encoding: str) -> Iterator[list[str]]:
    """The lines of standard input, so many at a time, or as many as have so many characters.

    Raises:
        ConfigError: If there is no such encoding.
        DataError: If a line is not in this encoding.
    """
    chunk: list[str] = []
    num_characters = 0
    for line in stdin_lines(encoding):
        chunk.append(line)
        num_characters += len(line)
        if len(chunk) == _CHUNK_LINES or num_characters >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, num_characters = [], 0
    if chunk:
        yield chunk


def stdin_lines(encoding: str) -> Iterator[str]:
    """The lines of standard input, without their ends.

    Raises:
        ConfigError: If there is no such encoding.
        DataError: If a line is not in this encoding.
    """
    # A byte order mark, which Windows likes to begin with, is no part of the first text.
    name = "utf-8-sig" if is_utf8(encoding) else encoding
    sys.stdin.reconfigure(encoding=name, errors="surrogateescape")  # type: ignore[union-attr]
    for number, line in enumerate(sys.stdin, 1):
        text = line.rstrip("\r\n")
        if problem := unreadable(text, encoding=encoding):
            raise DataError(f"Standard input, line {number}: {problem}")
        yield text
