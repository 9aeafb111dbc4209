"""The safety net under the watches: every few minutes a list of each kind replaces what is known.

A DELETE that happened while a watch was down is never told again; only a list shows that the object is gone. And
after a rollback of etcd a watch from a version in the future is silent for ever: then the list's version is lower
than one seen before, and a restart is the only honest answer (a leader, or one that waits to lead, learns it from the
Lease within seconds). The first run, at start, fills the caches. Afterwards our own kinds, which kopf watches, are
listed here; the watches of our children list those themselves.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from splai.controller.caches import OWN_KINDS, Caches, selector_of
from splai.kube.cache import Collection, Entry
from splai.kube.client import Client
from splai.kube.errors import ApiError, Gone, VersionFell
from splai.kube.resource import Resource

FIRST_INTERVAL = 15.0
"""Nobody tells what was deleted between the list that filled the caches and those that kopf's watches begin with."""
INTERVAL = 300.0

_log = logging.getLogger(__name__)


class Resync:
    """Lists every watched kind, in all namespaces or in those that are named."""

    def __init__(
        self, client: Client, caches: Caches, *, namespaces: Sequence[str], jitter: Callable[[], float] = random.random
    ) -> None:
        self._client = client
        self._caches = caches
        self._namespaces: list[str | None] = [*namespaces] or [None]
        self._jitter = jitter
        self._versions: dict[tuple[Resource, str | None], str] = {}
        self._reading = asyncio.Lock()  # what is deleted while a collection is read is noted once, not for each reader

    async def run(self) -> NoReturn:
        """Soon, then every five minutes, give or take a fifth; an apiserver that is away is asked again next time."""
        interval = FIRST_INTERVAL
        while True:
            await asyncio.sleep(interval * (0.8 + 0.4 * self._jitter()))
            interval = INTERVAL
            try:
                await self._replace_all(OWN_KINDS)
            except ApiError as error:
                _log.warning("resync failed", extra={"error": error.message})

    async def once(self) -> None:
        """Replace everything; enqueues whatever turns out to have changed unnoticed."""
        await self._replace_all(collection.resource for collection in self._caches)

    async def replace(self, resource: Resource, namespace: str | None) -> str:
        """Replace what is known of one kind in a namespace, or in all; returns the list's version."""
        collection = self._caches.of(resource)
        async with self._reading:
            try:
                version = await self._read(collection, namespace, limit=500)
            except Gone:  # the pages expired under way: all at once, then
                version = await self._read(collection, namespace, limit=0)
        self._versions[resource, namespace] = version
        return version

    def version(self, resource: Resource, namespace: str | None) -> str | None:
        """Of the last list of this kind, if there was one."""
        return self._versions.get((resource, namespace))

    async def _replace_all(self, resources: Iterable[Resource]) -> None:
        for resource in resources:
            for namespace in self._namespaces:
                await self.replace(resource, namespace)

    async def _read(self, collection: Collection[Any], namespace: str | None, *, limit: int) -> str:
        resource = collection.resource
        seen = collection.highest_version
        with collection.replacement(namespace) as replacement:
            version = "0"
            pages = self._client.pages(resource, namespace, selector=selector_of(resource), limit=limit)
            async for page in pages:
                version = page.resource_version
                if int(version) < seen:
                    raise VersionFell(f"{resource.name} are listed at version {version}, but {seen} was seen before")
                for body in page.items:
                    before: Entry[Any] | None = None
                    if collection.is_news(body):
                        before = collection.by_uid(body["metadata"]["uid"])
                    after = replacement.add(body)
                    if after is not None:
                        self._caches.route(resource, before, after)
            for entry in replacement.finish(int(version)):
                _log.info("deletion noticed late", extra={"resource": resource.name, "object": entry.name})
                self._caches.route(resource, entry, None)
        return version
