"""What a gateway tells the operator of its requests."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from splai.gateway.endpoints.application import metrics_application
from splai.gateway.endpoints.load import Load
from splai.gateway.metrics import Metrics
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.hold import Hold
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import RouteTable, build_routes
from splai.gateway.routing.selection import Lease, Selection

FAR = 1e9


class World:
    """A gateway's parts, as the load is read from them."""

    def __init__(self) -> None:
        self.table = RouteTable()
        self.selection = Selection(chance=random.Random(1))
        self.admission = Admission()
        self.hold = Hold(self)
        self.now = 100.0
        self.waiting: list[asyncio.Task[Any]] = []
        self._load = Load(
            "gateway-1",
            routes=self,
            selection=self.selection,
            admission=self.admission,
            hold=self.hold,
            clock=lambda: self.now,
        )
        self.application = metrics_application(Metrics(), self._load)

    def serve(self, *backends: Backend, ready: tuple[str, ...] = ()) -> None:
        slices = [Endpoints("team", name, (f"10.0.0.{place}:80",)) for place, name in enumerate(ready)]
        self.table = build_routes(backends, slices)
        self.hold.update(self.table)

    def ask(self, model: str = "m") -> Lease:
        target = self.selection.choose(self.table.pools[model])
        assert target is not None
        return self.selection.enter(target)

    async def start(self, waiting: Any) -> None:
        self.waiting.append(asyncio.create_task(waiting))
        await asyncio.sleep(0)

    async def load(self) -> dict[str, Any]:
        transport = httpx.ASGITransport(self.application)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            reply = await http.get("/internal/load")
        assert reply.status_code == 200
        told: dict[str, Any] = reply.json()
        return told


def backend(name: str = "b", *, at_zero: bool = False, **policy: Any) -> Backend:
    return Backend("team", name, 1, "m", (), Policy(**policy), scaled_to_zero=at_zero)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    for task in world.waiting:
        task.cancel()
    await asyncio.gather(*world.waiting, return_exceptions=True)


async def test_an_idle_gateway_says_that_it_is_one(world: World) -> None:
    world.serve(backend(), ready=("b",))

    assert await world.load() == {"replica": "gateway-1", "models": []}


async def test_requests_at_the_pods_of_a_backend_are_in_flight(world: World) -> None:
    world.serve(backend(), ready=("b",))
    world.ask()
    world.ask()

    told = {"namespace": "team", "backend": "b", "inFlight": 2, "held": 0}
    assert await world.load() == {"replica": "gateway-1", "models": [told]}


async def test_a_request_that_was_short_is_seen_all_the_same(world: World) -> None:
    world.serve(backend(), ready=("b",))
    await world.load()
    world.ask().answered()
    world.now += 3

    (told,) = (await world.load())["models"]
    assert told["inFlight"] == 1

    for _ in range(3):
        world.now += 5
        told_later = await world.load()
    assert told_later["models"] == []


async def test_a_request_for_a_backend_at_zero_is_held(world: World) -> None:
    world.serve(backend(at_zero=True))
    await world.start(world.hold.until_ready("m", FAR))
    await world.start(world.hold.until_ready("m", FAR))

    (told,) = (await world.load())["models"]
    assert told == {"namespace": "team", "backend": "b", "inFlight": 0, "held": 2}


async def test_a_request_that_waits_for_its_turn_is_held(world: World) -> None:
    world.serve(backend(max_in_flight=1), ready=("b",))
    pool = world.table.pools["m"]
    assert world.admission.try_enter(pool)
    world.ask()
    await world.start(world.admission.wait(pool, FAR))

    (told,) = (await world.load())["models"]
    assert told == {"namespace": "team", "backend": "b", "inFlight": 1, "held": 1}


async def test_those_that_wait_for_a_turn_are_shared_by_the_backends_that_are_asked_first(world: World) -> None:
    world.serve(
        backend("a", max_in_flight=1),
        backend("b", max_in_flight=1),
        backend("c", max_in_flight=1, priority=1),
        ready=("a", "b", "c"),
    )
    pool = world.table.pools["m"]
    for _ in range(3):
        assert world.admission.try_enter(pool)
    for _ in range(3):
        await world.start(world.admission.wait(pool, FAR))

    told = (await world.load())["models"]
    assert [(model["backend"], model["held"]) for model in told] == [("a", 2), ("b", 1)]
