"""The gate before the engine."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from splai.worker.backend import Backend
from tests.unit.worker.virtual_time import run


@dataclass
class Probe:
    """Says what it is told to, and when it was asked."""

    failure: str = ""
    asked: list[float] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> str:
        self.begun.set()
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.001)
        return self.failure


def with_backend(scenario: Callable[[Backend, Probe], Coroutine[Any, Any, None]], *, failure: str = "") -> None:
    async def main() -> None:
        probe = Probe(failure)
        clock = asyncio.get_running_loop().time
        backend = Backend(probe, clock=clock, pulse=lambda: None, jitter=lambda: 1.0)
        watching = asyncio.create_task(backend.watch())
        await scenario(backend, probe)
        watching.cancel()

    run(main())


def test_it_is_closed_until_the_engine_answers_a_probe() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        await asyncio.sleep(120)
        assert not backend.is_ready
        assert not backend.state.reachable
        assert backend.state.message == "connection refused"
        probe.failure = ""
        await backend.ready()
        assert asyncio.get_running_loop().time() < 120 + 16, "a backend that is back is noticed within seconds"
        assert backend.state.reachable

    with_backend(scenario, failure="connection refused")


def test_one_lost_connection_is_over_in_a_moment_and_not_reported() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        await backend.ready()
        before = asyncio.get_running_loop().time()
        backend.away("connection reset")
        assert not backend.is_ready
        assert backend.state.reachable
        await backend.ready()
        assert asyncio.get_running_loop().time() - before < 0.2

    with_backend(scenario)


def test_an_engine_that_lists_models_and_refuses_work_is_not_asked_in_a_loop() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        while asyncio.get_running_loop().time() < 300:
            await backend.ready()
            backend.away("HTTP 503")
        assert len(probe.asked) < 40
        assert backend.state.message == "HTTP 503"
        assert not backend.state.reachable

    with_backend(scenario)


def test_an_answer_forgives_all_failures() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        for _ in range(10):
            await backend.ready()
            backend.away("HTTP 503")
        await backend.ready()
        backend.answered()
        before = asyncio.get_running_loop().time()
        backend.away("connection reset")
        await backend.ready()
        assert asyncio.get_running_loop().time() - before < 0.2

    with_backend(scenario)


def test_requests_that_fail_together_count_as_one_failure() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        await backend.ready()
        before = asyncio.get_running_loop().time()
        for _ in range(64):
            backend.away("connection reset")
        await backend.ready()
        assert asyncio.get_running_loop().time() - before < 0.2

    with_backend(scenario)


def test_retry_after_is_honoured_up_to_five_minutes() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        for seconds, pause in ((20.0, 20.0), (86400.0, 300.0)):
            await backend.ready()
            backend.answered()
            before = asyncio.get_running_loop().time()
            backend.away("HTTP 429", retry_after=seconds, throttled=True)
            await backend.ready()
            assert pause <= asyncio.get_running_loop().time() - before < pause + 1

    with_backend(scenario)


def test_a_retry_after_that_comes_while_a_probe_runs_is_honoured() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        for failure in ("", "connection refused"):
            probe.failure = ""
            await backend.ready()
            backend.answered()
            before, asked = asyncio.get_running_loop().time(), len(probe.asked)
            probe.failure = failure
            backend.away("connection reset")
            probe.begun.clear()
            await probe.begun.wait()
            backend.away("HTTP 429", retry_after=20, throttled=True)
            await asyncio.sleep(10)
            probe.failure = ""
            await backend.ready()
            assert 20 <= asyncio.get_running_loop().time() - before < 21
            assert len(probe.asked) == asked + 2

    with_backend(scenario)


def test_a_throttling_backend_is_reachable() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        for _ in range(2):
            await backend.ready()
            backend.away("HTTP 429", throttled=True)
        assert backend.state.reachable
        assert backend.state.message == "HTTP 429"

    with_backend(scenario)


def test_a_timeout_is_the_records_if_others_were_answered_meanwhile() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        await backend.ready()
        asked = len(probe.asked)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(10)
        backend.answered()
        probe.failure = "no answer in time"
        assert await backend.works(since=began)
        assert len(probe.asked) == asked

    with_backend(scenario)


def test_a_timeout_of_all_is_settled_by_one_probe() -> None:
    async def scenario(backend: Backend, probe: Probe) -> None:
        await backend.ready()
        backend.answered()
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(10)
        asked = len(probe.asked)
        assert all(await asyncio.gather(*(backend.works(since=began) for _ in range(64))))
        assert len(probe.asked) == asked + 1
        probe.failure = "no answer in time"
        assert not await backend.works(since=began)
        assert not backend.is_ready

    with_backend(scenario)


def test_waiting_for_a_backend_is_felt_by_the_watchdog() -> None:
    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        pulses: list[float] = []
        backend = Backend(Probe(), clock=clock, pulse=lambda: pulses.append(clock()))
        watching = asyncio.create_task(backend.watch())
        await backend.ready()
        backend.away("HTTP 429", retry_after=300)
        await backend.ready()
        assert max(later - earlier for earlier, later in itertools.pairwise(pulses)) < 10
        watching.cancel()

    run(scenario())
