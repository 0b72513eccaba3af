"""What is wrong with a block of a graph: a sentence for a person, and where it belongs."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """One broken rule.

    Attributes:
        place: Index of the block that it is about; problems are told in the order of the blocks.
        text: A sentence that names the block, what it got, what it accepts, and the mend.
    """

    place: int
    text: str
