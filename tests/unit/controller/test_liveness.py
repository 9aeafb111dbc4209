"""A restart is due for what a restart cures, and for nothing else."""

import asyncio

import pytest

from splai.controller.liveness import HANGING_SECONDS, Liveness, Unhealthy
from splai.controller.metrics import Metrics
from splai.controller.queue import Key, WorkQueue
from splai.kube.lease import Elector
from tests.unit.kube.memory_client import MemoryClient

pytestmark = pytest.mark.looptime


class World:
    """A queue, an elector, and tasks named as kopf names its own."""

    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.queue = WorkQueue(observer=Metrics(), clock=clock)
        self.elector = Elector(MemoryClient(), namespace="n", name="operator", identity="a", clock=clock)
        self.liveness = Liveness(self.queue, self.elector, watches=2)

    async def wait(self, seconds: float, *, leading: bool = True) -> None:
        """Let time pass with ready work."""
        self.queue.add(Key("InferenceJob", "n", "j"))
        await asyncio.sleep(seconds)
        if leading:
            await self.elector.acquire()


@pytest.fixture
async def world() -> World:
    return World()


async def test_a_worker_may_be_slow(world: World) -> None:
    await world.wait(HANGING_SECONDS - 1)

    assert world.liveness.waiting() == 1


async def test_workers_that_hang_need_a_restart(world: World) -> None:
    await world.wait(HANGING_SECONDS + 1)

    with pytest.raises(Unhealthy, match="no worker has taken any of 1 keys for 181 s"):
        world.liveness.waiting()


async def test_a_standby_has_no_workers_that_could_hang(world: World) -> None:
    await world.wait(HANGING_SECONDS + 1, leading=False)

    assert world.liveness.waiting() == 1


async def test_a_watch_that_never_began_needs_a_restart(world: World) -> None:
    forever = asyncio.Event()
    first = asyncio.create_task(forever.wait(), name="watcher for pods.v1@n")
    with pytest.raises(Unhealthy, match="1 of 2 watches run"):
        world.liveness.watches()

    second = asyncio.create_task(forever.wait(), name="watcher for jobs.v1.batch@n")
    assert world.liveness.watches() == 2
    forever.set()
    await asyncio.gather(first, second)
