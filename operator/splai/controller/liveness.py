"""What /healthz asks: is there anything wrong that a restart would cure?

Most of it kopf answers by itself. It serves /healthz from the event loop, so a blocked loop gives no answer; and a
watch that fails for good ends kopf, and with it the process, as any other task does that ends. Two things are left.
kopf looks up the watched kinds once, when it starts: one that an apiserver in its first seconds did not show yet is
never watched, and only a warning says so. And workers may hang.

An apiserver that is away is no reason: watches are tried again and attempts fail, but they end. Whether the watches
tell everything is not asked here: that is the resync's.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from splai.controller.queue import WorkQueue
from splai.controller.reconcile import TIMEOUT
from splai.kube.lease import Elector

HANGING_SECONDS = 3 * TIMEOUT
"""No worker takes longer than the timeout: when ready work is left lying longer than this, all of them hang."""

_WATCH = "watcher for "  # how kopf names its tasks


class Unhealthy(Exception):
    """A restart is due; the message says why."""


class Liveness:
    """The questions, each a probe that raises Unhealthy."""

    def __init__(self, queue: WorkQueue, elector: Elector, *, watches: int) -> None:
        self._queue = queue
        self._elector = elector
        self._watches = watches

    def probes(self) -> dict[str, Callable[[], Any]]:
        """What /healthz shows, by name."""
        return {"leader": lambda: self._elector.leading, "watches": self.watches, "queue": self.waiting}

    def watches(self) -> int:
        """How many streams of events kopf has: one for each of our kinds and each namespace."""
        running = sum(task.get_name().startswith(_WATCH) for task in asyncio.all_tasks())
        if running < self._watches:
            raise Unhealthy(f"{running} of {self._watches} watches run")
        return running

    def waiting(self) -> int:
        """How many keys wait for a worker; only who leads has workers."""
        if self._elector.leading and self._queue.neglected > HANGING_SECONDS:
            seconds = self._queue.neglected
            raise Unhealthy(f"no worker has taken any of {len(self._queue)} keys for {seconds:.0f} s")
        return len(self._queue)
