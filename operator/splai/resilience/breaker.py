"""Whether to ask somebody who did not answer: one asks every few seconds, and the others are told what came of it.

A call without an answer holds its caller until it times out. Where a few workers do everybody's work, a server that is
away would soon hold all of them, and with them the work that needs no server.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from math import inf
from typing import Final

PAUSE_SECONDS: Final = 3.0


class Breaker:
    """In front of one server; every call to it is made inside ``asking``."""

    def __init__(
        self, unavailable: type[Exception], *, clock: Callable[[], float], pause: float = PAUSE_SECONDS
    ) -> None:
        """``unavailable`` is what a call raises that had no answer; whatever else it raises is one."""
        self._unavailable = unavailable
        self._clock = clock
        self._pause = pause
        self._failure: Exception | None = None
        self._asks_again_at = -inf
        self._answered_at = -inf

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Raises the last failure, at once, while there was no answer lately."""
        asked_at = self._clock()
        is_trial = self._failure is not None
        if self._failure is not None:
            if asked_at < self._asks_again_at:
                raise copy(self._failure)
            self._asks_again_at = inf  # one call shows what the others want to know
        try:
            yield
        except self._unavailable as failure:
            if is_trial or self._answered_at <= asked_at:  # else it was about this call, or is old news
                self._failure = copy(failure)  # without its traceback, which holds on to all that the call did
                self._asks_again_at = self._clock() + self._pause
            raise
        except Exception:
            self._answered()
            raise
        except BaseException:
            if is_trial:
                self._asks_again_at = asked_at  # nobody waited for what it would have shown
            raise
        else:
            self._answered()

    def _answered(self) -> None:
        self._failure = None
        self._answered_at = self._clock()
