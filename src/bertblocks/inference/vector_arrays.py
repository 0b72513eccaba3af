"""A .npy file of vectors, written part by part.

Not mapped: what is written into a mapping counts as this process's memory, and grows with the rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from io import BufferedWriter
from pathlib import Path

import numpy as np
from numpy.lib.format import read_array_header_1_0, read_magic, write_array_header_1_0
from numpy.typing import NDArray

from bertblocks._files import replace_when_done

_COPIED_BYTES = 1 << 20


def write_vectors(output: Path, width: int, parts: Iterable[NDArray[np.float32]]) -> None:
    """Write an array that is there only when it is complete; arguments as fill_vectors'."""
    with replace_when_done(output) as unfinished:
        fill_vectors(unfinished, width, parts)


def fill_vectors(output: Path, width: int, parts: Iterable[NDArray[np.float32]]) -> None:
    """Write an array, at once into its file.

    Args:
        output: Ends in .npy.
        width: Of every row.
        parts: Rows, float32, shape (any number, width).
    """
    num_rows = 0
    with output.open("wb") as file:
        begin = _write_header(file, num_rows, width)
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype="<f4").data)
            num_rows += len(part)
        _write_num_rows(file, num_rows, width, begin)


def join_vectors(output: Path, width: int, arrays: Iterable[Path]) -> None:
    """Write arrays of fill_vectors' one after another, at once into a file."""
    num_rows = 0
    with output.open("wb") as file:
        begin = _write_header(file, num_rows, width)
        for path in arrays:
            with path.open("rb") as part:
                read_magic(part)
                (part_rows, _), _, _ = read_array_header_1_0(part)
                shutil.copyfileobj(part, file, _COPIED_BYTES)
            num_rows += part_rows
        _write_num_rows(file, num_rows, width, begin)


def _write_num_rows(file: BufferedWriter, num_rows: int, width: int, begin: int) -> None:
    file.seek(0)
    # numpy leaves room in a header for any number of rows, so that arrays can grow.
    end = _write_header(file, num_rows, width)
    assert end == begin, "the second header does not cover the first"


def _write_header(file: BufferedWriter, num_rows: int, width: int) -> int:
    """Write what a .npy file begins with; gives where its rows begin."""
    write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (num_rows, width)})
    return file.tell()
