"""Why children have no pods: the Events in which the Job controller says what refuses them.

No change that we watch tells that a Job gets no pods. Where thousands wait for a busy Job controller, each would look
again and again for nothing. So one loop looks for all, and has those decided about of which something new is said.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, NoReturn

from splai.controller.caches import Caches
from splai.controller.event_lists import EventLists
from splai.controller.queue import Key
from splai.core.observed import ObservedJob
from splai.kube.client import Client
from splai.kube.errors import ApiError

INTERVAL: Final = 15.0
_FIELDS: Final = "involvedObject.kind=Job,reason=FailedCreate"

_log = logging.getLogger(__name__)


class CreationTroubles:
    """The newest complaint about each Job."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        *,
        enqueue: Callable[[Key], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caches = caches
        self._enqueue = enqueue
        self._now = now
        self._events = EventLists(client, _FIELDS, clock=clock)
        self._told: dict[str, str] = {}  # by UID, of the children that have no pods

    async def of(self, child: ObservedJob) -> str:
        """The Job controller's words, nothing if there are none, or if they may not be read."""
        events = (await self._events.of(child.namespace)).get(child.uid, ())
        return events[-1].message if events else ""

    async def run(self) -> NoReturn:
        """Look for ever; an apiserver that is away is asked again next time."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except ApiError as error:
                _log.warning("events cannot be read", extra={"error": error.message})

    async def look(self) -> None:
        """Enqueue the owners of children without pods that something else is said about than before."""
        told: dict[str, str] = {}
        for owner, child in self._caches.children_without_pods(self._now()):
            told[child.uid] = words = await self.of(child)
            if words != self._told.get(child.uid, ""):
                self._enqueue(owner)
        self._told = told
