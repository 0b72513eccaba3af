"""How many tokens go to which lane next. Pure functions: they know no clock and no texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bertblocks.serving.messages import SHARED


class Turn(NamedTuple):
    """A batch to fill.

    Attributes:
        lane: Where it is computed; SHARED is by all threads.
        wish: Tokens that it should have about.
        most: Tokens that it must not exceed, unless its first text does.
    """

    lane: int
    wish: float
    most: int

    def takes(self, num_tokens: int, more: int) -> bool:
        """Whether a batch takes a text.

        Args:
            num_tokens: Tokens that it has.
            more: Those of the text.
        """
        if not num_tokens:
            return True
        # To the nearest: batches that always stayed below would leave a text over for a turn of its own.
        return num_tokens + more <= self.most and num_tokens + more / 2 <= self.wish


def next_turn(
    num_waiting: int, waiting_tokens: int, busy_tokens: Sequence[Sequence[float]], batch_tokens: int
) -> Turn | None:
    """The batch to fill next, if one should be.

    A text alone is shared by all threads, which answers it soonest. Of several each lane gets as many tokens
    as let all lanes end together. Batches in stock, which begin without waiting for this process, are made
    only where there is more work than all lanes can take: what comes until then can still join the others.

    Args:
        num_waiting: Texts.
        waiting_tokens: Their tokens.
        busy_tokens: For each lane the tokens of its batches that are not done yet, about; the first batch is
            being computed.
        batch_tokens: Most tokens of a batch.
    """
    if not num_waiting:
        return None
    if num_waiting == 1 and not any(busy_tokens):
        return Turn(SHARED if len(busy_tokens) > 1 else 0, math.inf, batch_tokens)
    totals = [sum(batches) for batches in busy_tokens]
    free = [lane for lane, batches in enumerate(busy_tokens) if not batches]
    if free:
        # Large batches are the most efficient ones: where much waits, the only free lane takes what it can.
        is_much = len(free) == 1 and waiting_tokens >= batch_tokens / 2
        wish = batch_tokens if is_much else _level(waiting_tokens, totals)
        return Turn(free[0], wish, batch_tokens)
    if waiting_tokens < batch_tokens * len(busy_tokens):
        return None
    with_one = [lane for lane, batches in enumerate(busy_tokens) if len(batches) == 1]
    if not with_one:
        return None
    return Turn(min(with_one, key=totals.__getitem__), batch_tokens, batch_tokens)


def _level(amount: float, totals: Sequence[float]) -> float:
    """How high all lanes are filled when an amount is poured over them: those that are higher get nothing."""
    poured, filled = amount, 0.0
    lanes = sorted(totals)
    for index, height in enumerate(lanes, 1):
        filled += height
        level = (poured + filled) / index
        if index == len(lanes) or level <= lanes[index]:
            return level
    return amount
