"""The work queue promises what client-go's does. Time here is looptime's: a wait of minutes takes none."""

import asyncio
from collections.abc import Callable

import pytest

from splai.controller.queue import FIRST_BACKOFF, LAST_BACKOFF, Closed, Key, WorkQueue

pytestmark = pytest.mark.looptime

A, B = Key("InferenceJob", "n", "a"), Key("InferenceJob", "n", "b")


class Observer:
    def __init__(self) -> None:
        self.waits: list[float] = []
        self.retries: list[Key] = []

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def retried(self, key: Key) -> None:
        self.retries.append(key)


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
async def make_queue(observer: Observer) -> Callable[[], WorkQueue]:
    return lambda: WorkQueue(observer=observer, clock=asyncio.get_running_loop().time, jitter=lambda: 1.0)


MakeQueue = Callable[[], WorkQueue]


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_key_is_in_the_queue_once_however_often_it_is_added(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for key in (A, B, A, A):
        queue.add(key)

    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == [A, B]


async def test_a_key_is_never_worked_on_twice_at_once(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.add(A)
    assert await queue.get() == A

    queue.add(A)
    queue.add(A)
    assert len(queue) == 0

    queue.done(A)
    assert len(queue) == 1
    assert await queue.get() == A


async def test_a_key_that_nobody_added_meanwhile_does_not_come_again(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.add(A)
    queue.done(await queue.get())

    assert len(queue) == 0


async def test_a_delayed_add_keeps_the_earliest_time(make_queue: MakeQueue) -> None:
    queue = make_queue()
    started = now()
    queue.add(A, delay=30)
    queue.add(A, delay=5)
    queue.add(A, delay=60)

    await queue.get()

    assert now() - started == pytest.approx(5, abs=0.01)


async def test_an_attempt_makes_earlier_wishes_moot(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.add(A, delay=10)
    queue.add(A)
    queue.done(await queue.get())

    await asyncio.sleep(20)

    assert len(queue) == 0


async def test_a_wish_during_an_attempt_is_kept(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.add(A)
    await queue.get()
    queue.add(A, delay=10)
    queue.done(A)

    await asyncio.sleep(11)

    assert len(queue) == 1


async def test_failures_wait_twice_as_long_each_time_up_to_five_minutes(
    make_queue: MakeQueue, observer: Observer
) -> None:
    queue = make_queue()

    delays = [queue.retry(A) for _ in range(20)]

    assert delays[:4] == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF, 8 * FIRST_BACKOFF]
    assert delays[-1] == LAST_BACKOFF
    assert observer.retries == [A] * 20


async def test_jitter_shortens_a_backoff_by_up_to_half(observer: Observer) -> None:
    queue = WorkQueue(observer=observer, clock=now, jitter=lambda: 0.0)

    assert queue.retry(A) == FIRST_BACKOFF / 2


async def test_a_retry_waits_at_least_as_long_as_the_apiserver_asked_for(make_queue: MakeQueue) -> None:
    assert make_queue().retry(A, at_least=7) == 7


async def test_success_forgets_failures(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.retry(A)
    queue.retry(A)

    queue.forget(A)

    assert queue.retry(A) == FIRST_BACKOFF


async def test_one_keys_backoff_does_not_hold_up_another(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for _ in range(15):
        queue.retry(A)
    queue.add(B)

    assert await queue.get() == B


async def test_closing_frees_every_waiting_worker_and_hands_out_nothing_more(make_queue: MakeQueue) -> None:
    queue = make_queue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    queue.add(A)

    results = await asyncio.gather(*workers, queue.get(), return_exceptions=True)

    assert [type(result) for result in results] == [Closed] * 4


async def test_the_wait_is_counted_from_when_a_key_was_due(make_queue: MakeQueue, observer: Observer) -> None:
    queue = make_queue()
    queue.add(A, delay=5)
    await asyncio.sleep(8)

    await queue.get()

    assert observer.waits == [pytest.approx(3, abs=0.01)]


async def test_many_moot_delays_do_not_pile_up(make_queue: MakeQueue) -> None:
    queue = make_queue()
    for delay in range(10_000, 0, -1):
        queue.add(A, delay=float(delay))

    assert len(queue._schedule) < 100


async def test_ready_keys_are_neglected_when_nobody_takes_one(make_queue: MakeQueue) -> None:
    queue = make_queue()
    await asyncio.sleep(100)
    assert queue.neglected == 0

    queue.add(A)
    await asyncio.sleep(60)
    queue.add(B)
    await asyncio.sleep(10)
    assert queue.neglected == pytest.approx(70, abs=0.01)

    await queue.get()
    assert queue.neglected == pytest.approx(0, abs=0.01)


async def test_a_key_that_is_worked_on_for_long_neglects_no_other(make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    await asyncio.sleep(500)
    assert queue.neglected == 0

    queue.done(A)
    assert queue.neglected == pytest.approx(0, abs=0.01)
