"""A copy of one collection of the apiserver, kept by LIST and WATCH.

Each round is one LIST, which replaces everything, and one watch from there, which the apiserver ends after five
minutes. Listing that often is the cure for what a watch never tells: a deletion in a gap, and an etcd that was
restored to an older state. While the apiserver cannot be reached the copy stays as it was: old routes beat none.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from splai.kube.client import Client, WatchEvent
from splai.kube.errors import ApiError, Gone
from splai.kube.resource import Resource

FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 30.0

Parsed = TypeVar("Parsed")
Key = tuple[str, str]

_log = logging.getLogger(__name__)


class Reflector(Generic[Parsed]):
    """Keeps what ``parse`` makes of each object; calls ``changed`` when that is different, and after every LIST."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        parse: Callable[[Mapping[str, Any]], Parsed],
        *,
        changed: Callable[[], None],
        failed: Callable[[], None],
        namespace: str | None = None,
        selector: str = "",
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._resource = resource
        self._parse = parse
        self._changed = changed
        self._failed = failed
        self._namespace = namespace
        self._selector = selector
        self._jitter = jitter
        self._delay = FIRST_DELAY_SECONDS
        self._objects: dict[Key, Parsed] = {}
        self.listed = False
        """Whether ``objects`` were ever complete."""

    @property
    def objects(self) -> list[Parsed]:
        return list(self._objects.values())

    async def run(self) -> None:
        """Follow the collection for ever."""
        while True:
            try:
                await self._follow()
            except Gone:
                pass  # the next LIST has a newer version
            except (ApiError, ValueError, KeyError) as error:  # no answer, a refusal, or a proxy's page
                self._failed()
                facts = {"resource": self._resource.name, "namespace": self._namespace, "error": str(error)}
                _log.warning("watch failed", extra=facts)
                self._delay = min(LAST_DELAY_SECONDS, self._delay * 2)
            await asyncio.sleep(self._delay * (0.5 + self._jitter() / 2))

    async def _follow(self) -> None:
        """One round: a LIST, and its changes until the watch ends."""
        page = await self._client.list(self._resource, self._namespace, selector=self._selector)
        self._objects = {}
        for body in page.items:
            self._put(body)
        self.listed = True
        self._changed()
        changes = self._client.watch(
            self._resource, self._namespace, resource_version=page.resource_version, selector=self._selector
        )
        async with aclosing(changes):
            async for event in changes:
                self._delay = FIRST_DELAY_SECONDS
                self._apply(event)

    def _apply(self, event: WatchEvent) -> None:
        if event.type == "BOOKMARK":
            return
        key = _key(event.object)
        before = self._objects.get(key)
        if event.type == "DELETED":
            self._objects.pop(key, None)
        else:
            self._put(event.object)
        if self._objects.get(key) != before:  # most writes of a status are nothing to us
            self._changed()

    def _put(self, body: Mapping[str, Any]) -> None:
        """One object that cannot be read must not cost the others their routes."""
        key = _key(body)
        try:
            self._objects[key] = self._parse(body)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self._objects.pop(key, None)
            facts = {"resource": self._resource.name, "namespace": key[0], "object": key[1]}
            _log.warning("object ignored", extra={**facts, "error": type(error).__name__})


def _key(body: Mapping[str, Any]) -> Key:
    return body["metadata"]["namespace"], body["metadata"]["name"]
