"""Ends a worker whose own progress stands still: better a new pod than one that holds claims for ever.

Progress is any reaction from outside, good or bad: an answer, a timeout, a probe, a store that says it is away. So
waiting on purpose is not standing still; what is left is a bug or a network that swallows everything. Runs in a thread,
because an event loop that hangs cannot watch itself.
"""

import threading
import time
from collections.abc import Callable
from typing import Final as Constant

from splai.artifacts.http import KEEPING_SECONDS

GRACE: Constant = 60.0


def still_limit(request_timeout: float) -> float:
    """How long nothing may happen: twice what one request may take or a store for a file, and a minute."""
    return max(2 * request_timeout, KEEPING_SECONDS) + GRACE


class Watchdog:
    """Calls ``on_still`` once when no pulse was felt for ``limit`` seconds."""

    def __init__(
        self, *, limit: float, on_still: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._on_still = on_still
        self._clock = clock
        self._last = clock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self.pulse()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def pulse(self) -> None:
        """Something came back from outside."""
        self._last = self._clock()

    def is_still(self) -> bool:
        return self._clock() - self._last > self._limit

    def _watch(self) -> None:
        while not self._stopped.wait(self._limit / 20):
            if self.is_still():
                self._on_still(self._limit)
                return
