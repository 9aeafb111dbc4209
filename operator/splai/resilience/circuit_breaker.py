"""Whether to call somebody who keeps failing: the circuit breaker, without I/O.

                 failures in a row                       a trial fails
       closed ───────────────────────▶ open ◀──────────────────────────── half_open
         ▲                              │                                  ▲   │
         │                              └──────────────────────────────────┘   │
         │                                  after a while: few trials only     │
         └─────────────────────────────────────────────────────────────────────┘
                                  enough trials succeed

Each further opening lasts longer, until the breaker closes. A result counts only for the state in which its call began:
what was sent before a change says nothing about the time after it.
"""

import time
from collections.abc import Callable
from math import inf
from typing import Final, Literal

State = Literal["closed", "open", "half_open"]

_COUNTS_NOTHING: Final = -1
_TRIAL_SECONDS: Final = 1.0


class CircuitBreaker:
    """In front of one server. Whoever calls it settles each call's token once: succeed, fail or abandon."""

    __slots__ = (
        "_admits_from",
        "_clock",
        "_cool_from",
        "_failure_threshold",
        "_failures",
        "_generation",
        "_half_open_calls",
        "_is_closed",
        "_is_trying",
        "_longest_open_seconds",
        "_open_seconds",
        "_openings",
        "_successes",
        "_trials",
    )

    def __init__(
        self,
        *,
        failure_threshold: int = 5,
        open_seconds: float = 60.0,
        half_open_calls: int = 3,
        longest_open_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """It opens after ``failure_threshold`` failures in a row and closes after ``half_open_calls`` good trials.

        So many trials are in flight at most. Raises ValueError for a threshold, trials or seconds below that.
        """
        if failure_threshold < 1:
            raise ValueError(f"failure_threshold must be at least 1, not {failure_threshold}")
        if half_open_calls < 1:
            raise ValueError(f"half_open_calls must be at least 1, not {half_open_calls}")
        if not open_seconds > 0:
            raise ValueError(f"open_seconds must be positive, not {open_seconds}")
        self._failure_threshold = failure_threshold
        self._open_seconds = open_seconds
        self._half_open_calls = half_open_calls
        self._longest_open_seconds = max(longest_open_seconds, open_seconds)
        self._clock = clock
        self._is_closed = True
        self._is_trying = False  # half-open, once the first trial has begun
        self._generation = 0  # of the state; the token of the calls that begin in it
        self._failures = 0  # in a row, while closed
        self._openings = 0  # since it was closed last
        self._admits_from = -inf  # the end of the opening
        self._cool_from = -inf  # the end of the cool-down
        self._trials = 0  # in flight, while half-open
        self._successes = 0  # of trials

    @property
    def state(self) -> State:
        """Where it stands now; a cool-down is no state of its own."""
        if self._is_closed:
            return "closed"
        return "half_open" if self._is_trying or self._clock() >= self._admits_from else "open"

    def admits(self) -> bool:
        """Whether a call may begin now; asking changes nothing."""
        if self._is_closed and self._cool_from == -inf:
            return True
        return self.admits_in() == 0.0

    def admits_in(self) -> float:
        """Seconds until a call may begin, 0 where it may now; an estimate while all trial places are taken."""
        now = self._clock()
        waits = max(0.0, self._cool_from - now)
        if self._is_closed:
            return waits
        if not self._is_trying:
            return max(waits, self._admits_from - now)
        return waits if self._trials < self._half_open_calls else max(waits, _TRIAL_SECONDS)

    def begin(self) -> int:
        """A call starts; the token is settled when it ends.

        A call that is not admitted may be made all the same, when there is nobody else to ask: it counts nothing.
        """
        if self._is_closed:
            return self._generation
        if not self._is_trying:
            if self._clock() < self._admits_from:
                return _COUNTS_NOTHING
            self._is_trying = True
            self._trials = self._successes = 0
            self._generation += 1
        if self._trials >= self._half_open_calls:
            return _COUNTS_NOTHING
        self._trials += 1
        return self._generation

    def succeed(self, token: int) -> None:
        """The call was answered."""
        if token != self._generation:
            return
        if self._is_closed:
            self._failures = 0
            return
        self._trials -= 1
        self._successes += 1
        if self._successes >= self._half_open_calls:
            self._close()

    def fail(self, token: int) -> None:
        """The call had no answer, or one that says that the server is broken."""
        if token != self._generation:
            return
        if not self._is_closed:
            self._open()
            return
        self._failures += 1
        if self._failures >= self._failure_threshold:
            self._open()

    def abandon(self, token: int) -> None:
        """The call ended without showing anything, as when its caller left: frees its trial place, counts nothing."""
        if token == self._generation and not self._is_closed:
            self._trials -= 1

    def cool_down(self, seconds: float) -> None:
        """Admit nothing for so long: the server asked for it (429 and Retry-After, RFC 6585 §4), which is no failure.

        Calls in flight go on, and the token of the one that was refused is abandoned. No longer than the longest
        opening: a server's odd word must not take it away for good.
        """
        if seconds > 0:
            self._cool_from = max(self._cool_from, self._clock() + min(seconds, self._longest_open_seconds))

    def _open(self) -> None:
        self._openings += 1
        self._generation += 1
        self._is_closed = self._is_trying = False
        seconds = min(self._open_seconds * self._openings, self._longest_open_seconds)
        self._admits_from = self._clock() + seconds

    def _close(self) -> None:
        self._generation += 1
        self._is_closed = True
        self._is_trying = False
        self._failures = self._openings = 0
