"""Who is let in, who waits, and who is sent away."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from splai.gateway.errors import RequestError
from splai.gateway.routing.admission import Admission
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import Pool, RouteTable, build_routes

FAR = 1e9
"""A deadline that no test meets: the queue's own time is what ends a wait."""


def routes(*addresses: str, **policy: Any) -> RouteTable:
    policy = {"max_in_flight": 1, **policy}
    return build_routes([Backend("a", "b", 1, "m", (), Policy(**policy))], [Endpoints("a", "b", addresses)])


def pool_of(*addresses: str, **policy: Any) -> Pool:
    return routes(*(addresses or ("1",)), **policy).pools["m"]


class Queue:
    """Requests that wait, by name."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, pool: Pool, *names: str, deadline: float = FAR) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self.admission.wait(pool, deadline))
            await asyncio.sleep(0)

    async def let_in(self) -> list[str]:
        """Those whose wait has ended well by now."""
        for _ in range(5):
            await asyncio.sleep(0)
        return [name for name, task in self.tasks.items() if task.done() and not task.cancelled()]


@pytest.fixture
def admission() -> Admission:
    return Admission()


@pytest.fixture
async def queue(admission: Admission) -> AsyncIterator[Queue]:
    queue = Queue(admission)
    yield queue
    for task in queue.tasks.values():
        task.cancel()
    await asyncio.gather(*queue.tasks.values(), return_exceptions=True)


def fill(admission: Admission, pool: Pool, count: int = 1) -> None:
    assert all(admission.try_enter(pool) for _ in range(count))


def test_a_pool_takes_so_many_for_each_ready_pod(admission: Admission) -> None:
    pool = pool_of("1", "2", max_in_flight=3)
    fill(admission, pool, 6)

    assert not admission.try_enter(pool)
    admission.leave(pool)
    assert admission.try_enter(pool)
    assert admission.in_flight(pool) == 6


def test_a_pool_without_a_limit_takes_all(admission: Admission) -> None:
    pool = pool_of(max_in_flight=None)
    fill(admission, pool, 1000)

    assert admission.in_flight(pool) == 1000


async def test_turns_come_in_the_order_of_arrival(admission: Admission, queue: Queue) -> None:
    pool = pool_of()
    fill(admission, pool)
    await queue.join(pool, "first", "second")
    assert (await queue.let_in(), admission.queued(pool)) == ([], 2)

    admission.leave(pool)
    assert await queue.let_in() == ["first"]
    admission.leave(pool)
    assert await queue.let_in() == ["first", "second"]
    assert (admission.in_flight(pool), admission.queued(pool), admission.total) == (1, 0, 1)


async def test_nobody_overtakes_those_who_wait(admission: Admission, queue: Queue) -> None:
    pool = pool_of()
    fill(admission, pool)
    await queue.join(pool, "first")
    admission.leave(pool)

    assert not admission.try_enter(pool)


async def test_a_full_queue_sends_away_with_429(admission: Admission, queue: Queue) -> None:
    pool = pool_of(max_queued=1)
    fill(admission, pool)
    await queue.join(pool, "first")

    with pytest.raises(RequestError) as refused:
        await admission.wait(pool, FAR)

    assert (refused.value.status, refused.value.code, refused.value.type) == (429, "queue_full", "rate_limit_error")
    assert refused.value.headers == {"Retry-After": "5"}
    assert admission.total == 2


@pytest.mark.parametrize(
    ("deadline", "max_queue_seconds"),
    [pytest.param(FAR, 0.0, id="the queue's own time"), pytest.param(0.0, 60.0, id="the request's deadline")],
)
async def test_a_wait_that_is_too_long_ends_with_429(
    admission: Admission, deadline: float, max_queue_seconds: float
) -> None:
    pool = pool_of(max_queue_seconds=max_queue_seconds)
    fill(admission, pool)

    with pytest.raises(RequestError) as refused:
        await admission.wait(pool, deadline)

    assert (refused.value.status, refused.value.code) == (429, "queue_timeout")
    assert (admission.queued(pool), admission.total) == (0, 1)


async def test_a_caller_that_leaves_the_queue_takes_no_turn(admission: Admission, queue: Queue) -> None:
    pool = pool_of()
    fill(admission, pool)
    await queue.join(pool, "leaves", "stays")
    queue.tasks["leaves"].cancel()
    admission.leave(pool)  # before the one who leaves could say so

    assert await queue.let_in() == ["stays"]
    assert (admission.in_flight(pool), admission.queued(pool), admission.total) == (1, 0, 1)


async def test_a_turn_that_comes_to_one_who_leaves_goes_to_the_next(admission: Admission, queue: Queue) -> None:
    pool = pool_of()
    fill(admission, pool)
    await queue.join(pool, "leaves", "stays")
    admission.leave(pool)
    queue.tasks["leaves"].cancel()  # its turn has come, but it does not know yet

    assert await queue.let_in() == ["stays"]
    assert (admission.in_flight(pool), admission.total) == (1, 1)


async def test_a_new_pod_lets_in_who_waits(admission: Admission, queue: Queue) -> None:
    pool = pool_of("1")
    fill(admission, pool)
    await queue.join(pool, "first", "second")

    admission.update(routes("1", "2"))

    assert await queue.let_in() == ["first"]


@pytest.mark.parametrize("table", [RouteTable(), routes()], ids=["gone", "without pods"])
async def test_who_waits_for_a_pool_that_is_gone_is_let_through_to_hear_it(
    admission: Admission, queue: Queue, table: RouteTable
) -> None:
    pool = pool_of()
    fill(admission, pool)
    await queue.join(pool, "first", "second")

    admission.update(table)

    assert await queue.let_in() == ["first", "second"]


def test_what_is_in_flight_is_counted_over_all_tables(admission: Admission) -> None:
    pool = pool_of()
    fill(admission, pool)
    admission.update(RouteTable())

    assert not admission.try_enter(pool)
    admission.leave(pool)
    assert admission.total == 0


def test_a_gateway_that_has_all_it_can_take_says_503() -> None:
    admission = Admission(most_in_flight=1)
    fill(admission, pool_of(max_in_flight=None))

    with pytest.raises(RequestError) as refused:
        admission.try_enter(pool_of(max_in_flight=None))

    assert (refused.value.status, refused.value.code) == (503, "overloaded")
    assert "Retry-After" in refused.value.headers
