"""Until when a call must have given something out: asyncio.timeout_at for thousands of calls, of which few time out.

A timer for each request would be a good part of what a request costs. Here all deadlines are looked at together, ten
times a second, while there are any.
"""

import asyncio
from types import TracebackType
from typing import Self

SWEEP_SECONDS = 0.1
"""By so much a deadline may be missed."""


class Deadlines:
    """Those of all calls of one event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()  # asking for it is a system call
        self.watched: dict[Deadline, None] = {}
        self.timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float) -> float:
        """The point on the loop's clock that is so far from now."""
        return self.loop.time() + seconds

    def at(self, when: float) -> "Deadline":
        """A context whose body is cancelled at ``when``, on the loop's clock, and then raises TimeoutError."""
        return Deadline(self, when)

    def start(self) -> None:
        """For deadlines alone: from now on there are some."""
        self.timer = self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        for deadline in [it for it in self.watched if it.when <= now]:
            del self.watched[deadline]
            deadline.expire()
        self.timer = self.loop.call_later(SWEEP_SECONDS, self._sweep) if self.watched else None


class Deadline:
    """One call's; cancels the task that entered it."""

    __slots__ = ("_cancelling", "_deadlines", "_task", "expired", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self._deadlines = deadlines
        self.when = when
        self.expired = False

    def lift(self) -> None:
        """There is no deadline any more."""
        self._deadlines.watched.pop(self, None)

    def expire(self) -> None:
        """For the sweep alone."""
        self.expired = True
        self._task.cancel()

    def __enter__(self) -> Self:
        deadlines = self._deadlines
        task = asyncio.current_task(deadlines.loop)
        if task is None:
            raise RuntimeError("a deadline is entered in a task")
        self._task = task
        self._cancelling = task.cancelling()
        deadlines.watched[self] = None
        if deadlines.timer is None:
            deadlines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._deadlines.watched.pop(self, None)
        # Who cancelled the task as well must find it cancelled: so does asyncio.timeout tell them apart.
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
