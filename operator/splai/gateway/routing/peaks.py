"""The most of something within the last seconds, for whoever looks only now and then.

Two times are kept, the one that is and the one before. They are changed by who reads, so that who counts, which is
every request, needs no clock.
"""

from collections.abc import Mapping
from typing import Final

SPAN_SECONDS: Final = 5.0
"""The shortest time that is kept: longer than it takes until somebody looks again."""
STALE_SECONDS: Final = 15.0
"""What was counted since somebody looked that long ago is no news."""


class RecentPeaks:
    """By key; read at least every ``STALE_SECONDS``, or only what is counted now is known."""

    __slots__ = ("_before", "_began", "_now")

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._began = float("-inf")

    def note(self, key: str, count: int) -> None:
        """The count has risen to this."""
        if count > self._now.get(key, 0):
            self._now[key] = count

    def read(self, current: Mapping[str, int], now: float) -> dict[str, int]:
        """The most of each key, where the counts are ``current``; ``now`` is of any one clock, in seconds."""
        if now - self._began >= STALE_SECONDS:
            self._before, self._now, self._began = {}, dict(current), now
        highest = {key: max(self._now.get(key, 0), self._before.get(key, 0)) for key in {**self._before, **self._now}}
        if now - self._began >= SPAN_SECONDS:
            self._before, self._now, self._began = self._now, dict(current), now
        return highest
