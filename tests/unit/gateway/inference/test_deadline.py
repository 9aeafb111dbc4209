"""A call's deadline does what asyncio.timeout_at does, at most a sweep later."""

import asyncio

import pytest

from splai.gateway.inference.deadline import Deadlines


def soon() -> float:
    return asyncio.get_running_loop().time() + 0.01


async def test_a_body_that_takes_longer_is_cancelled_and_times_out() -> None:
    with pytest.raises(TimeoutError), Deadlines().at(soon()) as deadline:
        await asyncio.Event().wait()

    assert deadline.expired


async def test_the_task_is_not_cancelled_any_more_afterwards() -> None:
    with pytest.raises(TimeoutError), Deadlines().at(soon()):
        await asyncio.Event().wait()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_body_that_ends_in_time_is_left_alone() -> None:
    deadlines = Deadlines()

    with deadlines.at(soon()) as first:
        pass
    with pytest.raises(TimeoutError), deadlines.at(soon()) as second:
        await asyncio.Event().wait()

    assert (first.expired, second.expired) == (False, True)


async def test_a_lifted_deadline_ends_nothing() -> None:
    deadlines = Deadlines()

    with deadlines.at(soon()) as lifted:
        lifted.lift()
        with pytest.raises(TimeoutError), deadlines.at(soon() + 0.05):
            await asyncio.Event().wait()

    assert not lifted.expired


async def test_an_error_of_the_body_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="mine"), Deadlines().at(soon()):
        raise ValueError("mine")


async def test_a_caller_who_leaves_cancels_and_does_not_time_out() -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        with Deadlines().at(soon() + 3600):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await entered.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_and_late_is_cancelled() -> None:
    async def wait() -> None:
        with Deadlines().at(soon()):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()  # as the server does when the connection is lost
                raise

    with pytest.raises(asyncio.CancelledError):
        await asyncio.ensure_future(wait())


async def test_calls_come_in_any_order_and_each_ends_at_its_own_time() -> None:
    deadlines, ended = Deadlines(), []

    async def wait(name: str, seconds: float) -> None:
        with pytest.raises(TimeoutError), deadlines.at(soon() + seconds):
            await asyncio.Event().wait()
        ended.append(name)

    await asyncio.gather(wait("late", 0.3), wait("early", 0.0))

    assert ended == ["early", "late"]
