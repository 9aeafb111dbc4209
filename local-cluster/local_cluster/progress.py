"""Progress on stderr: what is being done, why, and for how long, so that nobody wonders whether it hangs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

REMINDER_SECONDS = 15.0


def say(message: str) -> None:
    """One line for the person who waits."""
    print(f"[local-cluster] {message}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """`9.3 s` below a minute, `2 min 5 s` above."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


class Step:
    """A piece of work in progress; `detail` is added to the reminder and may be set at any time."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.detail = ""
        self._started = time.monotonic()

    @property
    def elapsed(self) -> str:
        """How long the step has taken so far."""
        return duration(time.monotonic() - self._started)


@contextmanager
def step(title: str, why: str = "") -> Iterator[Step]:
    """Announce a piece of work, remind of it while it lasts, and say how long it took."""
    say(f"{title} ({why})" if why else title)
    current = Step(title)
    finished = threading.Event()

    def remind() -> None:
        while not finished.wait(REMINDER_SECONDS):
            detail = f": {current.detail}" if current.detail else ""
            say(f"  still {title}, {current.elapsed} so far{detail}")

    reminder = threading.Thread(target=remind, daemon=True)
    reminder.start()
    try:
        yield current
    finally:
        finished.set()
        reminder.join()
    say(f"  done: {title}, {current.elapsed}")
