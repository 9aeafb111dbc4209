"""Why children have no pods: the Events in which the Job controller says what refuses them."""

import time
from collections.abc import Callable
from typing import Final

from splai.controller.event_lists import EventLists
from splai.core.observed import ObservedJob
from splai.kube.client import Client

_FIELDS: Final = "involvedObject.kind=Job,reason=FailedCreate"


class CreationTroubles:
    """The newest complaint about each Job, at most 15 seconds old."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = EventLists(client, _FIELDS, clock=clock)

    async def of(self, child: ObservedJob) -> str:
        """The Job controller's words, nothing if there are none, or if they may not be read."""
        events = (await self._events.of(child.namespace)).get(child.uid, ())
        return events[-1].message if events else ""
