"""How far a fetch is, in the container's log: the one place where somebody can look while it lasts."""

import logging
import time
from collections.abc import Callable
from typing import Final

EVERY: Final = 15.0
"""Seconds between two lines."""
_log = logging.getLogger(__name__)


class Progress:
    """Told of every block, says now and then how many bytes there are, and of how many where the source says it."""

    def __init__(self, source: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._said = clock()
        self._bytes = 0
        self._total: int | None = None

    def begin(self, total: int | None) -> None:
        """What all files have; None: one of them does not say."""
        self._total = total

    def add(self, count: int) -> None:
        """So many more bytes are there, now or from an earlier try."""
        self._bytes += count
        now = self._clock()
        if now - self._said >= EVERY:
            self._said = now
            total = {} if self._total is None else {"of": self._total}
            _log.info("the weights are coming", extra={"source": self._source, "bytes": self._bytes, **total})
