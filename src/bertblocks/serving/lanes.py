"""The worker's lanes: which batches they have, since when, and how quick they are."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from bertblocks.serving.items import Item
from bertblocks.serving.messages import SHARED
from bertblocks.serving.scheduling import Turn, next_turn

# Tokens a second: a lane that computes fewer is taken for stuck.
_SLOWEST = 100.0
# How much the newest batch counts in what is known of the lanes' speed.
_NEWEST = 0.2


@dataclass(kw_only=True)
class Batch:
    """Texts that are computed together.

    Attributes:
        number: Of the batch.
        lane: Where.
        items: The texts.
        num_tokens: What they cost.
        begun: When it was begun, as time.monotonic tells it; None while another is before it in its lane.
    """

    number: int
    lane: int
    items: list[Item]
    num_tokens: int
    begun: float | None = None


class Lanes:
    """What the worker computes.

    Args:
        num_lanes: Batches that are computed at the same time, each by a thread.
        batch_tokens: Most tokens of a batch.

    Attributes:
        batch_s: Seconds that the last batches took.
    """

    def __init__(self, num_lanes: int, batch_tokens: int) -> None:
        self.num_lanes = num_lanes
        self.batch_tokens = batch_tokens
        self.batch_s = 0.0
        self._lanes: list[deque[Batch]] = [deque() for _ in range(num_lanes)]
        self._shared: Batch | None = None
        # Unknown at the beginning; then it hardly matters.
        self._lane_rate = 1000.0
        self._number = 0

    @property
    def tokens_per_s(self) -> float:
        """What all lanes compute together, about."""
        return self._lane_rate * self.num_lanes

    def batches(self) -> Iterator[Batch]:
        """Those that are not done."""
        if self._shared is not None:
            yield self._shared
        for lane in self._lanes:
            yield from lane

    def next_turn(self, num_waiting: int, waiting_tokens: int) -> Turn | None:
        """The batch to fill next, if one should be; arguments as scheduling.next_turn."""
        now = time.monotonic()
        if self._shared is not None:
            rest = self._left(self._shared, now) / self.num_lanes
            busy = [[rest, *(batch.num_tokens for batch in lane)] for lane in self._lanes]
        else:
            busy = [[self._left(batch, now) for batch in lane] for lane in self._lanes]
        return next_turn(num_waiting, waiting_tokens, busy, self.batch_tokens)

    def begin(self, lane: int, items: list[Item]) -> Batch:
        """Put a batch into a lane, behind what is there."""
        self._number += 1
        batch = Batch(
            number=self._number, lane=lane, items=items, num_tokens=sum(item.cost for item in items)
        )
        if lane == SHARED:
            self._shared = batch
        else:
            self._lanes[lane].append(batch)
        self._mark_begun()
        return batch

    def finish(self, number: int, seconds: float) -> Batch:
        """A batch is done.

        Args:
            number: Which.
            seconds: That it took.
        """
        batch = next(batch for batch in self.batches() if batch.number == number)
        if batch is self._shared:
            self._shared = None
        else:
            self._lanes[batch.lane].remove(batch)
            rate = batch.num_tokens / max(seconds, 1e-6)
            self._lane_rate += _NEWEST * (rate - self._lane_rate)
        self.batch_s += _NEWEST * (seconds - self.batch_s)
        self._mark_begun()
        return batch

    def oldest_overdue_s(self, now: float, allowed_s: float) -> float:
        """By how many seconds the slowest batch is late; below 0 where none is.

        Args:
            now: As time.monotonic tells it.
            allowed_s: For a batch of few tokens; larger ones may take longer.
        """
        late = [
            now - batch.begun - allowed_s - batch.num_tokens / _SLOWEST
            for batch in self.batches()
            if batch.begun is not None
        ]
        return max(late, default=-1.0)

    def _left(self, batch: Batch, now: float) -> float:
        """Tokens of a batch that are not computed yet, about."""
        if batch.begun is None:
            return batch.num_tokens
        rate = self._lane_rate * (self.num_lanes if batch is self._shared else 1)
        return max(0.0, batch.num_tokens - (now - batch.begun) * rate)

    def _mark_begun(self) -> None:
        now = time.monotonic()
        firsts = [self._shared] if self._shared else [lane[0] for lane in self._lanes if lane]
        for batch in firsts:
            if batch.begun is None:
                batch.begun = now
