"""Whether clients that have their answer ask again at once.

Many do: each of them works off a list, one text at a time. When a batch of theirs is answered they come back
one after another, within some milliseconds; a lane that took the first of them at once would leave all others
to wait for a whole batch of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# How much the newest batch counts in what is known of clients' habits.
_NEWEST = 0.3
# Of those that were answered so many must have come back, lately, for waiting to be worth it.
_WORTH_WAITING = 0.5


class Returning:
    """Watches how many texts come in the moments after a batch was answered.

    Args:
        clock: Tells seconds.

    Attributes:
        share: Of the texts that were answered, how many others came soon after; 0 to 1.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.share = 0.0
        self._answered = self._arrived = 0
        self._until = 0.0

    def answered(self, num_texts: int, within_s: float) -> None:
        """A batch was answered; what comes within so many seconds counts as come back."""
        now = self._clock()
        if now >= self._until:
            if self._answered:
                came = min(1.0, self._arrived / self._answered)
                self.share += _NEWEST * (came - self.share)
            self._answered = self._arrived = 0
        self._answered += num_texts
        self._until = now + within_s

    def arrived(self, num_texts: int) -> None:
        """Texts have come."""
        if self._clock() < self._until:
            self._arrived += num_texts

    @property
    def are_expected(self) -> bool:
        """Whether more texts will probably come very soon."""
        return (
            self.share >= _WORTH_WAITING
            and self._arrived < self.share * self._answered
            and self._clock() < self._until
        )
