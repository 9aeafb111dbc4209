"""The work queue: which resources to look at, and when.

The semantics are those of client-go's rate-limited work queue, because years of controllers have shown them right:

* a key is in the queue once, however often it is added;
* a key is never worked on by two workers at once: one that is added meanwhile comes again when it is done;
* a delayed add keeps the earliest time, and an attempt makes all earlier wishes moot, since it sees everything;
* a key that fails waits twice as long each time, with jitter, from 5 ms up to 5 minutes.
"""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from splai.kube.resource import Resource

FIRST_BACKOFF = 0.005
LAST_BACKOFF = 300.0


@dataclass(frozen=True, slots=True)
class Key:
    """One of our resources, by name: a successor of the same name is the same work."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, resource: Resource, namespace: str, name: str) -> "Key":
        return cls(resource.kind, namespace, name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class QueueObserver(Protocol):
    """What the metrics want to know."""

    def waited(self, seconds: float) -> None:
        """A key was handed out, so long after it was due."""

    def retried(self, key: Key) -> None:
        """A key failed and was put back."""


class Closed(Exception):
    """The queue hands out no more work."""


class WorkQueue:
    """Keys for workers of one event loop."""

    def __init__(
        self,
        *,
        observer: QueueObserver,
        clock: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._observer = observer
        self._clock = clock
        self._jitter = jitter
        self._ready: asyncio.Queue[Key | None] = asyncio.Queue()  # None: closed
        self._dirty: dict[Key, float] = {}  # ready, or to be ready again when done; since when
        self._processing: set[Key] = set()
        self._due: dict[Key, float] = {}
        self._schedule: list[tuple[float, int, Key]] = []
        self._sequence = 0
        self._failures: dict[Key, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._moved_at = clock()
        self._closed = False

    def __len__(self) -> int:
        return self._ready.qsize()

    @property
    def neglected(self) -> float:
        """Seconds that keys have been ready without any worker taking one."""
        return self._clock() - self._moved_at if len(self) else 0.0

    def add(self, key: Key, *, delay: float = 0.0) -> None:
        """Let the key be worked on, after ``delay`` seconds or earlier if it was added for earlier."""
        if delay <= 0:
            self._add_now(key)
            return
        when = self._clock() + delay
        if self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        self._sequence += 1
        heapq.heappush(self._schedule, (when, self._sequence, key))
        if len(self._schedule) > 2 * len(self._due) + 64:  # mostly entries that an earlier time made moot
            self._schedule = [entry for entry in self._schedule if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._schedule)
        self._arm()

    def retry(self, key: Key, *, at_least: float = 0.0) -> float:
        """Put a key back that failed; returns the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        backoff = min(LAST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, 32))
        delay = max(backoff * (0.5 + self._jitter() / 2), at_least)
        self._observer.retried(key)
        self.add(key, delay=delay)
        return delay

    def forget(self, key: Key) -> None:
        """The key succeeded: its next failure counts as the first."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """The next key, to be given back with ``done``; raises Closed."""
        key = await self._ready.get()
        if key is None or self._closed:
            self._ready.put_nowait(None)  # for the next worker
            raise Closed
        self._moved_at = self._clock()
        self._observer.waited(self._moved_at - self._dirty.pop(key))
        self._due.pop(key, None)
        self._processing.add(key)
        return key

    def done(self, key: Key) -> None:
        """The worker is through with it; if it was added meanwhile it is ready again."""
        self._processing.discard(key)
        if key in self._dirty:
            self._make_ready(key)

    def close(self) -> None:
        """Hand out no more; what is being worked on may finish."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._ready.put_nowait(None)

    def _add_now(self, key: Key) -> None:
        if key in self._dirty:
            return
        self._dirty[key] = self._clock()
        if key not in self._processing:
            self._make_ready(key)

    def _make_ready(self, key: Key) -> None:
        if not len(self):
            self._moved_at = self._clock()
        self._ready.put_nowait(key)

    def _arm(self) -> None:
        """One timer, for the earliest of all delayed keys."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._schedule and not self._closed:
            delay = max(0.0, self._schedule[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._release_due)

    def _release_due(self) -> None:
        now = self._clock()
        while self._schedule and self._schedule[0][0] <= now:
            when, _, key = heapq.heappop(self._schedule)
            if self._due.get(key) == when:
                del self._due[key]
                self._add_now(key)
        self._arm()
