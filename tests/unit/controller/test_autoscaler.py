"""Whose number of replicas is to be decided again, by what gateways and jobs ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from splai.api.gateway_load import BackendLoad, GatewayLoad
from splai.controller import autoscaler as module
from splai.controller.autoscaler import Autoscaler
from splai.controller.caches import Caches
from splai.controller.queue import Key
from splai.core.modelbackend.gateways import Gateway, GatewayView
from splai.kube.resource import INFERENCE_JOBS, MODEL_BACKENDS
from tests.unit.controller.objects import inference_job, model_backend

AUTOSCALING = {"maxReplicas": 4, "targetInFlight": 10, "scaleDownDelay": "60s"}
ONE = Gateway("10.0.0.1:9464", "gw-1", is_ready=True)
TWO = Gateway("10.0.0.2:9464", "gw-2", is_ready=True)


class ScriptedGateways:
    """Gateways in the place of real ones: what each says, by its address."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.view = GatewayView()
        self.there = [ONE]
        self.loads: dict[str, int | None] = {ONE.address: 0}
        self.looks = 0
        self.next_loads: list[int] = []
        self._clock = clock

    async def look(self) -> None:
        self.looks += 1
        if self.next_loads:
            self.loads[ONE.address] = self.next_loads.pop(0)
        self.view.listed(self.there, self._clock())
        self.view.heard(
            {address: _load(count) for address, count in self.loads.items() if count is not None}, self._clock()
        )


def _load(in_flight: int) -> GatewayLoad:
    return GatewayLoad(replica="gw", models=[BackendLoad(namespace="n", backend="b", in_flight=in_flight, held=0)])


class World:
    """One backend with autoscaling, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.keys: list[Key] = []
        self.caches = Caches(lambda *_: None)
        self.gateways = ScriptedGateways(lambda: self.now)
        self.version = 0
        self.autoscaler = self.restarted()

    def restarted(self) -> Autoscaler:
        self.gateways.view = GatewayView()
        return Autoscaler(
            self.gateways,  # type: ignore[arg-type]
            self.caches,
            policies=dict,
            enqueue=self.keys.append,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            clock=lambda: self.now,
        )

    def record(self, replicas: int, **autoscaling: Any) -> None:
        self.version += 1
        body = model_backend(version=self.version, autoscaling=AUTOSCALING | autoscaling)
        body["status"]["autoscaling"] = {"desiredReplicas": replicas, "reason": "Requests"}
        self.caches.changed(MODEL_BACKENDS, body)

    def run_job(self, **status: Any) -> None:
        self.version += 1
        known = {"phase": "Running", "backend": "b", "total": 100, **status}
        self.caches.changed(INFERENCE_JOBS, inference_job(version=self.version, status=known))

    async def look(self, *, after: float = 3.0) -> bool:
        """Whether a decision about the backend is due now."""
        self.keys.clear()
        self.now += after
        await self.autoscaler.look([entry.value for entry in self.caches.backends])
        return Key("ModelBackend", "n", "b") in self.keys

    async def watch(self, seconds: int) -> list[int]:
        """After how many seconds decisions were due, looking every three."""
        return [second for second in range(3, seconds + 1, 3) if await self.look()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(module, "BURST_SECONDS", 0.0)
    return World()


async def test_a_request_for_a_backend_at_zero_is_a_decision(world: World) -> None:
    world.record(0)
    assert not await world.look()
    world.gateways.loads[ONE.address] = 1

    assert await world.look()


async def test_once_it_is_recorded_nothing_is_due(world: World) -> None:
    world.record(1)
    world.gateways.loads[ONE.address] = 1

    assert await world.watch(30) == []


async def test_many_requests_that_come_together_are_seen_together(world: World) -> None:
    world.record(0)
    world.gateways.next_loads = [3, 30]

    assert await world.look()

    (backend,) = (entry.value for entry in world.caches.backends)
    demand = world.autoscaler.demand(backend)
    assert demand is not None
    assert demand.requests == 30


async def test_it_goes_down_after_the_delay_and_not_before(world: World) -> None:
    world.record(2)
    world.gateways.loads[ONE.address] = 15
    assert await world.watch(30) == []
    world.gateways.loads[ONE.address] = 0

    assert await world.watch(57) == []
    assert await world.watch(9) != []


async def test_traffic_that_comes_and_goes_does_not_make_it_flap(world: World) -> None:
    world.record(2)

    for _ in range(10):
        world.gateways.loads[ONE.address] = 15
        assert not await world.look()
        world.gateways.loads[ONE.address] = 0
        assert await world.watch(45) == []


async def test_two_gateways_that_share_the_load_do_not_either(world: World) -> None:
    world.record(2)
    world.gateways.there = [ONE, TWO]

    for place in range(60):
        one, two = (15, 0) if place % 2 else (4, 9)
        world.gateways.loads = {ONE.address: one, TWO.address: two}
        assert not await world.look()


async def test_a_gateway_that_never_answered_keeps_it_up(world: World) -> None:
    world.record(2)
    world.gateways.there = [ONE, TWO]
    world.gateways.loads = {ONE.address: 0, TWO.address: None}

    due = await world.watch(120)

    assert due
    (backend,) = (entry.value for entry in world.caches.backends)
    demand = world.autoscaler.demand(backend)
    assert demand is not None
    assert demand.silent == ("gw-2",)


async def test_a_restart_begins_a_new_delay(world: World) -> None:
    world.record(2)
    world.gateways.loads[ONE.address] = 15
    await world.watch(30)
    world.gateways.loads[ONE.address] = 0
    assert await world.watch(54) == []

    world.autoscaler = world.restarted()

    assert await world.watch(60) == []
    assert await world.watch(9) != []


async def test_before_the_gateways_are_known_nothing_is_decided(world: World) -> None:
    world.record(2)

    async def not_yet() -> None:
        world.gateways.looks += 1

    world.gateways.look = not_yet  # type: ignore[method-assign]

    assert await world.watch(300) == []


async def test_a_job_alone_wakes_it_and_keeps_it_up(world: World) -> None:
    world.record(0)
    world.run_job()
    assert await world.look()

    world.record(2)
    assert await world.watch(120) == []


async def test_when_the_job_is_over_it_goes_down(world: World) -> None:
    world.record(1)
    world.run_job(total=5)
    await world.look()
    world.run_job(phase="Completed", succeeded=5)

    assert await world.watch(57) == []
    assert await world.watch(9) != []


async def test_without_backends_that_ask_for_it_nobody_is_asked(world: World) -> None:
    world.caches.changed(MODEL_BACKENDS, model_backend(version=1))
    running = asyncio.create_task(world.autoscaler.run())
    await asyncio.sleep(0)
    running.cancel()

    assert world.gateways.looks == 0


@pytest.mark.parametrize(("replicas", "interval"), [(0, module.INTERVAL_AT_ZERO), (1, module.INTERVAL)])
async def test_a_backend_at_zero_is_looked_at_more_often(
    world: World, monkeypatch: pytest.MonkeyPatch, replicas: int, interval: float
) -> None:
    world.record(replicas)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    looking: Awaitable[Any] = world.autoscaler.run()

    with pytest.raises(asyncio.CancelledError):
        await looking
    assert slept == [interval]
