"""What the watches missed is found by a list, and an apiserver that fell back is noticed."""

import asyncio

import pytest

from splai.controller.caches import Caches
from splai.controller.queue import Key
from splai.controller.resync import FIRST_INTERVAL, INTERVAL, Resync
from splai.kube.errors import Unavailable, VersionFell
from splai.kube.resource import INFERENCE_JOBS, JOBS
from tests.unit.controller.objects import child_job, inference_job
from tests.unit.kube.memory_client import MemoryClient

JOB = Key("InferenceJob", "n", "j")


class World:
    """An apiserver with one job and its child, and a resync over it."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.client = MemoryClient()
        self.client.store(INFERENCE_JOBS, inference_job())
        self.client.store(JOBS, child_job())
        self.caches = Caches(lambda key, _: self.keys.append(key))
        self.resync = Resync(self.client, self.caches, namespaces=(), jitter=lambda: 0.5)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_run_fills_the_caches_and_enqueues_everything(world: World) -> None:
    await world.resync.once()

    assert world.caches.jobs.get("n", "j")
    assert world.caches.child_jobs.get("n", "j-0")
    assert set(world.keys) == {JOB}


async def test_a_run_without_news_enqueues_nothing(world: World) -> None:
    await world.resync.once()
    world.keys.clear()

    await world.resync.once()

    assert world.keys == []


async def test_a_deletion_that_no_watch_told_is_found(world: World) -> None:
    await world.resync.once()
    world.keys.clear()
    world.client.remove(JOBS, "n", "j-0")

    await world.resync.once()

    assert world.caches.child_jobs.get("n", "j-0") is None
    assert world.keys == [JOB]


async def test_a_list_older_than_what_was_seen_is_a_rollback(world: World) -> None:
    world.caches.changed(INFERENCE_JOBS, inference_job(version=1000))

    with pytest.raises(VersionFell, match=r"inferencejobs\.splai\.dev are listed at version 3, but 1000 was seen"):
        await world.resync.once()


@pytest.mark.looptime
async def test_what_vanished_before_the_watches_began_is_found_soon(world: World) -> None:
    await world.resync.once()
    world.client.remove(INFERENCE_JOBS, "n", "j")

    running = asyncio.create_task(world.resync.run())
    await asyncio.sleep(FIRST_INTERVAL + 1)

    assert world.caches.jobs.get("n", "j") is None
    running.cancel()


@pytest.mark.looptime
async def test_an_apiserver_that_is_away_is_asked_again_next_time(world: World) -> None:
    await world.resync.once()
    world.client.remove(INFERENCE_JOBS, "n", "j")
    world.client.fail = [Unavailable("away")]

    running = asyncio.create_task(world.resync.run())
    await asyncio.sleep(FIRST_INTERVAL + 1)
    assert world.caches.jobs.get("n", "j")
    await asyncio.sleep(INTERVAL + 1)
    assert world.caches.jobs.get("n", "j") is None
    running.cancel()
