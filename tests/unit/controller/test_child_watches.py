"""What we made is followed by LIST and WATCH, whatever happens to the connection."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from splai.controller.caches import CHILDREN, Caches
from splai.controller.child_watches import LAST_DELAY_SECONDS, ChildWatches
from splai.controller.queue import Key
from splai.controller.resync import Resync
from splai.kube.client import WatchEvent
from splai.kube.errors import ApiError, Gone, Unavailable, VersionFell
from splai.kube.resource import INFERENCE_JOBS, JOBS, Resource
from tests.unit.controller.objects import child_job, inference_job
from tests.unit.kube.memory_client import MemoryClient

pytestmark = pytest.mark.looptime

JOB = Key("InferenceJob", "n", "j")


class WatchedClient(MemoryClient):
    """The watches of Jobs give the events and errors of ``told``, each list for one watch; then all are silent."""

    def __init__(self, told: list[list[WatchEvent | ApiError]]) -> None:
        super().__init__()
        self.told = told
        self.watches: list[tuple[Resource, str | None, str, str]] = []

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        selector: str = "",
        timeout_seconds: int = 300,
    ) -> AsyncGenerator[WatchEvent]:
        self.watches.append((resource, namespace, resource_version, selector))
        if resource != JOBS or not self.told:
            await asyncio.Event().wait()
        for event in self.told.pop(0):
            if isinstance(event, ApiError):
                raise event
            yield event

    @property
    def versions(self) -> list[str]:
        """Those that the watches of Jobs began with."""
        return [version for resource, _, version, _ in self.watches if resource == JOBS]


class World:
    """An apiserver with one job and its child, and the caches as they are after the first lists."""

    def __init__(self, *told: list[WatchEvent | ApiError], namespaces: tuple[str, ...] = ()) -> None:
        self.keys: list[Key] = []
        self.client = WatchedClient(list(told))
        self.client.store(INFERENCE_JOBS, inference_job())
        self.client.store(JOBS, child_job())
        self.caches = Caches(lambda key, _: self.keys.append(key))
        self.resync = Resync(self.client, self.caches, namespaces=namespaces, jitter=lambda: 0.5)
        self.watches = ChildWatches(self.client, self.caches, self.resync, namespaces=namespaces, jitter=lambda: 0.5)

    async def follow(self, seconds: float = 1.0) -> None:
        if self.resync.version(JOBS, None) is None:
            await self.resync.once()
        self.keys.clear()
        running = asyncio.create_task(self.watches.run())
        await asyncio.wait((running,), timeout=seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if (failure := None if running.cancelled() else running.exception()) is not None:
            raise failure


def modified(version: int, *, active: int = 1) -> WatchEvent:
    return WatchEvent("MODIFIED", child_job(version=version, active=active))


async def test_every_kind_of_child_is_watched_from_the_version_of_its_first_list() -> None:
    world = World()

    await world.follow()

    ours = "app.kubernetes.io/managed-by=splai"
    assert world.client.watches == [(resource, None, "3", ours) for resource in CHILDREN]


async def test_each_named_namespace_has_watches_of_its_own() -> None:
    world = World(namespaces=("n", "o"))

    await world.follow()

    assert {(resource, namespace) for resource, namespace, _, _ in world.client.watches} == {
        (resource, namespace) for resource in CHILDREN for namespace in ("n", "o")
    }


async def test_changes_and_deletions_are_their_owners_work() -> None:
    world = World([modified(10), WatchEvent("DELETED", child_job(version=11)), Unavailable("away")])

    await world.follow()

    assert world.keys == [JOB, JOB]
    assert world.caches.child_jobs.get("n", "j-0") is None


async def test_a_broken_connection_goes_on_after_the_last_event() -> None:
    bookmark = WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
    world = World([modified(10), bookmark, Unavailable("the connection broke")])

    await world.follow()

    assert world.client.versions == ["3", "20"]


async def test_what_no_watch_told_is_found_when_a_watch_ends() -> None:
    world = World([])
    await world.resync.once()
    world.client.remove(JOBS, "n", "j-0")

    await world.follow()

    assert world.client.versions == ["3", "4"]
    assert world.caches.child_jobs.get("n", "j-0") is None


async def test_a_version_that_is_too_old_begins_anew_with_a_list() -> None:
    world = World([Gone("too old resource version")])
    await world.resync.once()
    world.client.remove(JOBS, "n", "j-0")

    await world.follow()

    assert world.caches.child_jobs.get("n", "j-0") is None


async def test_an_apiserver_that_is_away_is_asked_again_and_ever_less_often() -> None:
    away: list[list[WatchEvent | ApiError]] = [[Unavailable("away")] for _ in range(100)]
    world = World(*away)

    await world.follow(seconds=10 * LAST_DELAY_SECONDS)

    assert 10 < len(world.client.versions) < 20


async def test_a_list_that_fails_is_tried_again() -> None:
    world = World([])
    await world.resync.once()
    world.client.fail = [Unavailable("away")]  # for the list after the first watch, which ends at once

    await world.follow(seconds=5)

    assert world.client.fail == []
    assert world.client.versions == ["3", "3"]


async def test_a_rollback_of_etcd_ends_the_watches() -> None:
    world = World([modified(1000)])

    with pytest.raises(ExceptionGroup) as caught:
        await world.follow()

    assert caught.group_contains(VersionFell)
