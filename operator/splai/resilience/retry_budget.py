"""How many requests may be retries: a share of the traffic, so that retries cannot multiply an outage.

When everything fails, retries that each caller grants itself are several times the load that a server could not carry
already. A share of all recent requests, and few where there is little traffic, keeps the sum bounded.
"""

import time
from collections.abc import Callable
from typing import Final

_SLOTS: Final = 10


class RetryBudget:
    """Counts over a sliding window in ten slots: its memory does not grow with the traffic."""

    __slots__ = ("_clock", "_minimum", "_ratio", "_requests", "_retries", "_slot", "_slot_seconds")

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        minimum: int = 3,
        window_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """In each window there may be ``ratio`` retries for a request, and ``minimum`` in any case."""
        self._ratio = ratio
        self._minimum = minimum
        self._slot_seconds = window_seconds / _SLOTS
        self._clock = clock
        self._requests = [0] * _SLOTS
        self._retries = [0] * _SLOTS
        self._slot = int(clock() / self._slot_seconds)

    def request(self) -> None:
        """A request came in; its retries are not requests."""
        self._requests[self._current() % _SLOTS] += 1

    def try_spend(self) -> bool:
        """Whether a retry may be made now; if so, it is counted."""
        slot = self._current()
        if sum(self._retries) >= max(self._minimum, int(self._ratio * sum(self._requests))):
            return False
        self._retries[slot % _SLOTS] += 1
        return True

    def _current(self) -> int:
        """The slot of now, with those since the last one emptied."""
        slot = int(self._clock() / self._slot_seconds)
        if slot == self._slot:
            return slot
        for passed in range(max(self._slot + 1, slot - _SLOTS + 1), slot + 1):
            self._requests[passed % _SLOTS] = self._retries[passed % _SLOTS] = 0
        self._slot = slot
        return slot
