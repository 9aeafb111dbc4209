"""Events about objects of one kind, listed for a whole namespace at a time.

The apiserver keeps no index and no cache of Events: asked for those of one object it reads all of the namespace from
etcd. When a cluster is so busy that thousands of objects have something to complain about, each of them would ask. So
one list serves all of a namespace for a while, for a longer one where there are so many Events that it took long.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from splai.core.observed import ObservedEvent, last_seen
from splai.kube.client import Client
from splai.kube.errors import Forbidden
from splai.kube.resource import CORE_EVENTS

FRESH_SECONDS: Final = 15.0
MOST_OF_THE_TIME: Final = 1 / 60
"""That is spent on lists of one namespace."""

EventsByUID = Mapping[str, Sequence[ObservedEvent]]
"""By the UID of the object that they are about, oldest first."""


@dataclass(slots=True)
class _Heard:
    """What was said in one namespace."""

    events: EventsByUID = field(default_factory=dict)
    until: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class EventLists:
    """Events that a field selector chooses, at most 15 seconds old, or a minute for each second that a list takes."""

    def __init__(self, client: Client, fields: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._fields = fields
        self._clock = clock
        self._heard: defaultdict[str, _Heard] = defaultdict(_Heard)

    async def of(self, namespace: str) -> EventsByUID:
        """All of the namespace; none if they may not be read."""
        heard = self._heard[namespace]
        async with heard.lock:
            asked = self._clock()
            if asked > heard.until:
                heard.events = await self._list(namespace)
                answered = self._clock()
                heard.until = answered + max(FRESH_SECONDS, (answered - asked) / MOST_OF_THE_TIME)
        return heard.events

    async def _list(self, namespace: str) -> EventsByUID:
        try:
            found = await self._client.list(CORE_EVENTS, namespace, fields=self._fields)
        except Forbidden:
            return {}
        events: defaultdict[str, list[ObservedEvent]] = defaultdict(list)
        for event in sorted(found.items, key=last_seen):
            uid = event["involvedObject"].get("uid", "")  # anybody may write Events
            events[uid].append(ObservedEvent.from_object(event))
        return dict(events)
