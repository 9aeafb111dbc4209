"""The watches of what we make: Deployments, Services, Jobs and Pods.

kopf watches our own kinds, whose every change may be work. Of these there are ten events for each job, most of them
nobody's work, and kopf starts a task for each object and looks at each event for much that we never ask it for: it
takes longer to hand an event over than we take to see that it is no news.

Each stream is a LIST and the changes after it, for some five minutes; after a broken connection it goes on where it
was. Listing that often is the cure for what a watch never tells, as for our own kinds (see `resync.py`).
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NoReturn

from splai.controller.caches import CHILDREN, Caches, selector_of
from splai.controller.resync import INTERVAL, Resync
from splai.kube.client import Client, WatchEvent
from splai.kube.errors import ApiError, Gone
from splai.kube.resource import Resource

FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 30.0

_log = logging.getLogger(__name__)


class ChildWatches:
    """One stream of events for each kind, in all namespaces or in each that is named."""

    def __init__(
        self,
        client: Client,
        caches: Caches,
        resync: Resync,
        *,
        namespaces: Sequence[str],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._caches = caches
        self._resync = resync
        self._namespaces: list[str | None] = [*namespaces] or [None]
        self._jitter = jitter

    async def run(self) -> None:
        """Follow what is there after the resync's first run, for ever; raises VersionFell."""
        async with asyncio.TaskGroup() as streams:
            for resource in CHILDREN:
                for namespace in self._namespaces:
                    streams.create_task(self._follow(resource, namespace))

    async def _follow(self, resource: Resource, namespace: str | None) -> NoReturn:
        version, delay = self._resync.version(resource, namespace), FIRST_DELAY_SECONDS
        while True:
            try:
                if version is None:
                    version = await self._resync.replace(resource, namespace)
                async with aclosing(self._changes(resource, namespace, version)) as changes:
                    async for event in changes:
                        self._take(resource, event)
                        version, delay = event.object["metadata"]["resourceVersion"], FIRST_DELAY_SECONDS
                version = None
            except Gone:
                version = None
            except ApiError as error:
                facts = {"resource": resource.name, "namespace": namespace, "error": error.message}
                _log.warning("watch failed", extra=facts)
                delay = min(LAST_DELAY_SECONDS, delay * 2)
            await asyncio.sleep(delay * (0.5 + self._jitter() / 2))

    def _changes(self, resource: Resource, namespace: str | None, version: str) -> AsyncGenerator[WatchEvent]:
        seconds = round(INTERVAL * (0.8 + 0.4 * self._jitter()))
        selector = selector_of(resource)
        return self._client.watch(
            resource, namespace, resource_version=version, selector=selector, timeout_seconds=seconds
        )

    def _take(self, resource: Resource, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._caches.deleted(resource, event.object)
        elif event.type != "BOOKMARK":
            self._caches.changed(resource, event.object)
