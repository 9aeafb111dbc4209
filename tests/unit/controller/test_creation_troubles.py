"""Events cost the apiserver much, so few questions must do for many jobs, and no job is looked at for nothing."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from splai.controller.caches import Caches
from splai.controller.creation_troubles import INTERVAL, CreationTroubles
from splai.controller.event_lists import FRESH_SECONDS
from splai.controller.queue import Key
from splai.core.inferencejob.snapshot import PODS_EXPECTED
from splai.core.observed import ObservedJob
from splai.kube.client import Object, Page
from splai.kube.errors import Unavailable
from splai.kube.resource import CORE_EVENTS, INFERENCE_JOBS, JOBS, PODS
from tests.unit.controller.objects import child_job, inference_job, pod
from tests.unit.kube.memory_client import MemoryClient

CREATED = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB = Key("InferenceJob", "n", "j")


def child(uid: str, namespace: str = "n") -> ObservedJob:
    body = child_job()
    body["metadata"] |= {"uid": uid, "namespace": namespace}
    return ObservedJob.from_object(body)


def complaint(uid: str, message: str) -> Object:
    return {
        "metadata": {"namespace": "n", "name": f"{uid}-{message}", "uid": message},
        "involvedObject": {"kind": "Job", "uid": uid},
        "message": message,
    }


class SlowClient(MemoryClient):
    """Others come while an answer is on its way."""

    async def list(self, *arguments: Any, **options: Any) -> Page:
        page = await super().list(*arguments, **options)
        await asyncio.sleep(0)
        return page


@dataclass
class World:
    """A job with one child, as old as ``age`` says, and who was enqueued since it was last asked."""

    client: MemoryClient = field(default_factory=MemoryClient)
    caches: Caches = field(default_factory=lambda: Caches(lambda *_: None))
    age: timedelta = PODS_EXPECTED
    _keys: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.troubles = CreationTroubles(
            self.client,
            self.caches,
            enqueue=self._keys.append,
            now=lambda: CREATED + self.age,
            clock=lambda: self.age.total_seconds(),
        )
        self.caches.changed(INFERENCE_JOBS, inference_job())
        body = child_job()
        body["metadata"]["creationTimestamp"] = "2026-01-01T12:00:00Z"
        self.caches.changed(JOBS, body)

    async def enqueued(self) -> list[Key]:
        await self.troubles.look()
        keys, self._keys[:] = list(self._keys), []
        return keys


@pytest.fixture
def world() -> World:
    return World()


def make_troubles(client: MemoryClient) -> CreationTroubles:
    return World(client).troubles


async def test_one_list_serves_all_jobs_of_a_namespace() -> None:
    client = SlowClient()
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))
    client.store(CORE_EVENTS, complaint("b", "no ServiceAccount"))
    troubles = make_troubles(client)

    said = await asyncio.gather(*(troubles.of(child(uid)) for uid in "abc"))

    assert said == ["exceeded quota", "no ServiceAccount", ""]
    assert len(client.selectors) == 1


async def test_a_namespace_knows_nothing_of_another() -> None:
    client = MemoryClient()
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))
    troubles = make_troubles(client)

    assert await troubles.of(child("a")) == "exceeded quota"
    assert await troubles.of(child("a", namespace="other")) == ""


async def test_an_event_about_nobody_in_particular_hides_no_other() -> None:
    client = MemoryClient()
    anonymous = complaint("a", "of a job that is only named")
    del anonymous["involvedObject"]["uid"]
    client.store(CORE_EVENTS, anonymous)
    client.store(CORE_EVENTS, complaint("a", "exceeded quota"))

    assert await make_troubles(client).of(child("a")) == "exceeded quota"


async def test_what_was_heard_a_while_ago_is_asked_anew(world: World) -> None:
    assert await world.troubles.of(child("a")) == ""
    world.client.store(CORE_EVENTS, complaint("a", "exceeded quota"))

    world.age += timedelta(seconds=FRESH_SECONDS)
    assert await world.troubles.of(child("a")) == ""
    world.age += timedelta(seconds=1)
    assert await world.troubles.of(child("a")) == "exceeded quota"


async def test_a_job_is_decided_about_when_something_else_is_said_of_its_child(world: World) -> None:
    assert await world.enqueued() == []

    world.client.store(CORE_EVENTS, complaint("uid-j-0", "exceeded quota"))
    world.age += timedelta(minutes=1)
    assert await world.enqueued() == [JOB]

    world.age += timedelta(minutes=1)
    assert await world.enqueued() == []

    world.client.store(CORE_EVENTS, complaint("uid-j-0", "no ServiceAccount"))
    world.age += timedelta(minutes=1)
    assert await world.enqueued() == [JOB]


async def test_when_nothing_is_said_any_more_that_is_news_too(world: World) -> None:
    world.client.store(CORE_EVENTS, complaint("uid-j-0", "exceeded quota"))
    assert await world.enqueued() == [JOB]

    world.client.objects.clear()
    world.age += timedelta(minutes=1)

    assert await world.enqueued() == [JOB]


async def test_nobody_is_asked_about_a_child_that_has_pods_or_may_still_get_them(world: World) -> None:
    world.client.store(CORE_EVENTS, complaint("uid-j-0", "exceeded quota"))

    world.age = PODS_EXPECTED - timedelta(seconds=1)
    assert await world.enqueued() == []

    world.age = PODS_EXPECTED
    started = pod("j-0-x", inferencejob="j")
    started["metadata"]["ownerReferences"] = [{"uid": "uid-j-0", "controller": True}]
    world.caches.changed(PODS, started)
    assert await world.enqueued() == []
    assert world.client.selectors == []


async def test_the_pod_of_another_child_is_none_of_this_ones(world: World) -> None:
    world.client.store(CORE_EVENTS, complaint("uid-j-0", "exceeded quota"))
    other = pod("j-1-x", inferencejob="j")
    other["metadata"]["ownerReferences"] = [{"uid": "uid-j-1", "controller": True}]
    world.caches.changed(PODS, other)

    assert await world.enqueued() == [JOB]


async def test_an_apiserver_that_is_away_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.client.store(CORE_EVENTS, complaint("uid-j-0", "exceeded quota"))
    world.client.fail = [Unavailable("away")]
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", wait)
    with pytest.raises(asyncio.CancelledError):
        await world.troubles.run()

    assert waits == [INTERVAL] * 3
    assert world._keys == [JOB]
