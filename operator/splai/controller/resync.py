"""The safety net under kopf's watches: every few minutes a list of each kind replaces what is known.

A DELETE that happened while a watch was down is never told again; only a list shows that the object is gone. And
after a rollback of etcd a watch from a version in the future is silent for ever: then the list's version is lower
than one seen before, and a restart is the only honest answer (a leader, or one that waits to lead, learns it from the
Lease within seconds). The first run, at start, fills the caches.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from splai.controller.caches import Caches, selector_of
from splai.kube.cache import Collection, Entry
from splai.kube.client import Client
from splai.kube.errors import ApiError, Gone, VersionFell

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

    async def run(self) -> NoReturn:
        """Soon, then every five minutes, give or take a fifth; an apiserver that is away is asked again next time."""
        interval = FIRST_INTERVAL
        while True:
            await asyncio.sleep(interval * (0.8 + 0.4 * self._jitter()))
            interval = INTERVAL
            try:
                await self.once()
            except ApiError as error:
                _log.warning("resync failed", extra={"error": error.message})

    async def once(self) -> None:
        """Replace everything; enqueues whatever turns out to have changed unnoticed."""
        for collection in self._caches:
            for namespace in self._namespaces:
                await self._replace(collection, namespace)

    async def _replace(self, collection: Collection[Any], namespace: str | None) -> None:
        try:
            await self._read(collection, namespace, limit=500)
        except Gone:  # the pages expired under way: all at once, then
            await self._read(collection, namespace, limit=0)

    async def _read(self, collection: Collection[Any], namespace: str | None, *, limit: int) -> None:
        resource = collection.resource
        seen = collection.highest_version
        with collection.replacement(namespace) as replacement:
            version = 0
            pages = self._client.pages(resource, namespace, selector=selector_of(resource), limit=limit)
            async for page in pages:
                version = int(page.resource_version)
                if version < seen:
                    raise VersionFell(f"{resource.name} are listed at version {version}, but {seen} was seen before")
                for body in page.items:
                    before: Entry[Any] | None = None
                    if collection.is_news(body):
                        before = collection.by_uid(body["metadata"]["uid"])
                    after = replacement.add(body)
                    if after is not None:
                        self._caches.route(resource, before, after)
            for entry in replacement.finish(version):
                _log.info("deletion noticed late", extra={"resource": resource.name, "object": entry.name})
                self._caches.route(resource, entry, None)
