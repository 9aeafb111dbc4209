"""One point in time by which all the tries of a request must be over."""

import time
from collections.abc import Callable


class Deadline:
    """Set once when a request comes in, and handed to everybody who works on it."""

    __slots__ = ("_clock", "_ends_at")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds

    def remaining(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self._ends_at - self._clock())

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self._clock() >= self._ends_at
