"""Why children have no pods: the Events in which the Job controller says what refuses them.

The apiserver keeps no index and no cache of Events: asked for those of one object it reads all of the namespace from
etcd. When a cluster is so busy that thousands of jobs wait for their pods, each of them would ask. So one list serves
all jobs of a namespace for a while.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from splai.core.observed import ObservedJob
from splai.kube.client import Client, Object
from splai.kube.errors import Forbidden
from splai.kube.resource import CORE_EVENTS

FRESH_SECONDS: Final = 15.0
_FIELDS: Final = "involvedObject.kind=Job,reason=FailedCreate"


@dataclass(slots=True)
class _Heard:
    """What was said in one namespace, by the UID of the Job."""

    messages: Mapping[str, str] = field(default_factory=dict)
    at: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class CreationTroubles:
    """The newest complaint about each Job, at most 15 seconds old."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._heard: defaultdict[str, _Heard] = defaultdict(_Heard)

    async def of(self, child: ObservedJob) -> str:
        """The Job controller's words, nothing if there are none, or if they may not be read."""
        heard = self._heard[child.namespace]
        async with heard.lock:
            if self._clock() - heard.at > FRESH_SECONDS:
                heard.messages = await self._list(child.namespace)
                heard.at = self._clock()
        return heard.messages.get(child.uid, "")

    async def _list(self, namespace: str) -> dict[str, str]:
        try:
            found = await self._client.list(CORE_EVENTS, namespace, fields=_FIELDS)
        except Forbidden:
            return {}
        return {
            event["involvedObject"].get("uid", ""): str(event.get("message") or "")  # anybody may write Events
            for event in sorted(found.items, key=_last_seen)
        }


def _last_seen(event: Object) -> str:
    """RFC 3339 in UTC, so it sorts as text; which field holds it depends on who wrote the event."""
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((time for time in times if time), "")
