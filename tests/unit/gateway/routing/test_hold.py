"""Waiting for the first pod of a backend at zero."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from splai.gateway.errors import RequestError
from splai.gateway.routing.hold import Hold
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import Pool, RouteTable, build_routes

FAR = 1e9


def routes(
    *addresses: str, at_zero: bool = False, starting: bool = False, name: str = "m", policy: Policy | None = None
) -> RouteTable:
    backend = Backend("a", "b", 1, name, (), policy or Policy(), scaled_to_zero=at_zero, is_starting=starting)
    return build_routes([backend], [Endpoints("a", "b", addresses)])


AT_ZERO = routes(at_zero=True)
STARTING = routes(starting=True)
FAILING = routes()
READY = routes("10.0.0.1:8000")


class World:
    """The routes, who is held, and how they fare."""

    def __init__(self, table: RouteTable, **limits: float) -> None:
        self.table = table
        self.hold = Hold(self, **limits)  # type: ignore[arg-type]
        self.hold.update(table)
        self.tasks: list[asyncio.Task[Pool]] = []

    async def see(self, table: RouteTable) -> None:
        self.table = table
        self.hold.update(table)
        await self.pause()

    async def pause(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def ask(self, name: str = "m") -> asyncio.Task[Pool]:
        task = asyncio.create_task(self.hold.until_ready(name, FAR))
        self.tasks.append(task)
        await self.pause()
        return task


async def refusal(request: asyncio.Task[Pool]) -> tuple[int, str | None]:
    with pytest.raises(RequestError) as refused:
        await request
    return refused.value.status, refused.value.code


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(AT_ZERO)
    yield world
    for task in world.tasks:
        task.cancel()
    await asyncio.gather(*world.tasks, return_exceptions=True)


async def test_a_ready_pool_is_there_at_once(world: World) -> None:
    await world.see(READY)

    assert await world.hold.until_ready("m", FAR) is READY.pools["m"]


async def test_a_request_is_held_until_there_is_a_pod(world: World) -> None:
    request = await world.ask()
    assert (request.done(), world.hold.held()) == (False, {"a/b": 1})
    await world.see(STARTING)
    assert not request.done()

    await world.see(READY)

    assert request.result() is READY.pools["m"]
    assert world.hold.held() == {}


async def test_all_that_are_held_go_on_together(world: World) -> None:
    first, second = await world.ask(), await world.ask("a/m")
    assert world.hold.held() == {"a/b": 2}

    await world.see(READY)

    assert first.done()
    assert second.done()


async def test_a_backend_that_is_waking_up_is_waited_for_by_later_requests_too(world: World) -> None:
    await world.see(STARTING)

    request = await world.ask()

    assert not request.done()


async def test_one_that_was_never_at_zero_is_not(world: World) -> None:
    await world.see(READY)
    await world.see(STARTING)

    assert await refusal(await world.ask()) == (503, "model_not_ready")


async def test_with_autoscaling_it_is_because_another_gateway_may_have_woken_it(world: World) -> None:
    await world.see(routes(starting=True, policy=Policy(is_elastic=True)))

    request = await world.ask()

    assert not request.done()


async def test_a_backend_may_say_how_long_it_is_waited_for(world: World) -> None:
    await world.see(routes(at_zero=True, policy=Policy(is_elastic=True, max_hold=0.0)))

    assert await refusal(await world.ask()) == (503, "model_not_ready")


async def test_nor_is_one_that_fails_on_its_way(world: World) -> None:
    await world.see(FAILING)

    assert await refusal(await world.ask()) == (503, "model_not_ready")


async def test_a_pod_that_came_and_went_does_not_mislead(world: World) -> None:
    request = await world.ask()
    world.table = READY
    world.hold.update(READY)
    world.table = AT_ZERO  # before the request could look
    await world.see(AT_ZERO)
    assert not request.done()

    await world.see(READY)

    assert request.done()


async def test_a_model_that_is_deleted_meanwhile_is_404(world: World) -> None:
    request = await world.ask()

    await world.see(RouteTable())

    assert await refusal(request) == (404, "model_not_found")


async def test_nobody_is_held_for_ever() -> None:
    world = World(AT_ZERO, max_hold=0.0)

    with pytest.raises(RequestError) as refused:
        await world.hold.until_ready("m", FAR)

    assert (refused.value.status, refused.value.code) == (503, "model_not_ready")
    assert refused.value.headers == {"Retry-After": "5"}
    assert world.hold.held() == {}


async def test_the_requests_own_deadline_ends_the_hold(world: World) -> None:
    with pytest.raises(RequestError, match="none has started in time"):
        await world.hold.until_ready("m", 0.0)


async def test_not_more_than_a_bounded_number_is_held() -> None:
    world = World(AT_ZERO, most_held=1)
    held = await world.ask()

    assert await refusal(await world.ask()) == (503, "too_many_held")
    held.cancel()


async def test_a_caller_that_leaves_is_held_no_longer_and_harms_no_other(world: World) -> None:
    leaves, stays = await world.ask(), await world.ask()
    leaves.cancel()
    await world.pause()
    assert world.hold.held() == {"a/b": 1}

    await world.see(READY)

    assert stays.done()
