"""Which rows it is that make work on many fail: found by halves, so that one row does not stop a million."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bertblocks.data.batches import Reason

Result = TypeVar("Result")

FAILED: Reason = "failed in the model"
_LONGEST_MESSAGE = 500


def apart(work: Callable[[Sequence[int]], Result], num_rows: int) -> tuple[list[Result], dict[int, str]]:
    """Do work on rows; where it fails, on halves of them, until it is known which rows it cannot be done on.

    Args:
        work: Takes positions of rows, ascending.
        num_rows: Positions are 0 to this less 1.

    Returns:
        The results, in the order of the rows; and what went wrong with the others, by position.

    Raises:
        Exception: What work raised, if it can be done on none of several rows: that is not the rows' fault.
    """
    results: list[Result] = []
    failed: dict[int, str] = {}
    first: list[BaseException] = []

    def do(start: int, stop: int) -> None:
        try:
            results.append(work(range(start, stop)))
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        # What a library in Rust panics with is no Exception.
        except BaseException as error:
            first.append(error)
            if stop - start < 2:
                failed[start] = _message(error)
                return
            middle = (start + stop) // 2
            do(start, middle)
            do(middle, stop)

    do(0, num_rows)
    if failed and num_rows != 1 and len(failed) >= num_rows:
        raise first[0]
    return results, failed


def _message(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    return f"the model failed on it: {lines[0][:_LONGEST_MESSAGE]}"
