"""The fault table: what a caller sees of an engine that fails, how often engines are asked, and what breakers do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from splai.gateway.inference import attempts
from tests.unit.gateway.apis import ANSWER, APIS, CHAT, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.faults import TRIES, Fault, faults, hang
from tests.unit.gateway.raw_caller import calling
from tests.unit.gateway.scripted_engine import answer, unused_address
from tests.unit.gateway.until import until

OPENS_AFTER = 5
ROUNDS = 14
"""Enough for a breaker to open beside a good pod, and few enough for the retries that are free."""
ROWS = [(api, fault) for api in APIS for fault in faults(api)]


def table(rows: list[tuple[Api, Fault]]) -> list[Any]:
    return [pytest.param(api, fault, id=f"{api.name}: {fault.name}") for api, fault in rows]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 0.0)


@pytest.fixture(autouse=True)
async def nothing_leaks(gateway: Gateway) -> AsyncIterator[None]:
    """A good stream's connection is kept until its body has ended, which the caller does not wait for."""
    yield
    await until(lambda: not gateway.leaked())


async def start(engines: EngineRoom, fault: Fault) -> str:
    return unused_address() if fault.script is None else (await engines.start(fault.script)).address


def failures(gateway: Gateway) -> int:
    """Calls of engines that failed, as counted."""
    samples = next(
        it for it in gateway.metrics.registry.collect() if it.name == "splai_gateway_upstream_errors"
    ).samples
    return int(sum(sample.value for sample in samples))


@pytest.mark.parametrize(("api", "fault"), table(ROWS))
async def test_a_fault_of_the_only_pod(gateway: Gateway, engines: EngineRoom, api: Api, fault: Fault) -> None:
    address = await start(engines, fault)
    gateway.serve("llama", address, timeout=0.5 if fault.takes_time else 30.0, native_responses=api.native)
    fails = fault.code != ANSWER and fault.status != 400

    async with calling(gateway.port) as caller:
        first = await caller.post(api.path, api.document)

        assert (first.status, outcome(api, first)) == (fault.status, fault.code)
        assert failures(gateway) == (fault.calls if fails else 0)
        assert first.headers.get("x-should-retry") == ("false" if fault.calls > 1 else None)
        assert gateway.selection.state(address) == "closed"

        for _ in range((OPENS_AFTER - fault.calls + TRIES - 1) // fault.calls + 1):
            await caller.post(api.path, api.document)
        assert gateway.selection.state(address) == ("open" if fault.opens else "closed")


@pytest.mark.parametrize(("api", "fault"), table([row for row in ROWS if not row[1].takes_time]))
async def test_a_fault_of_one_of_two_pods(gateway: Gateway, engines: EngineRoom, api: Api, fault: Fault) -> None:
    bad = await start(engines, fault)
    good = await engines.start(api.good())
    gateway.serve("llama", bad, good.address, native_responses=api.native)

    async with calling(gateway.port) as caller:
        seen = {outcome(api, await caller.post(api.path, api.document)) for _ in range(ROUNDS)}

    assert seen == ({ANSWER} if fault.repaired else {ANSWER, fault.code})
    assert gateway.selection.state(bad) == ("open" if fault.opens else "closed")
    assert gateway.selection.state(good.address) == "closed"
    if fault.opens:
        assert failures(gateway) == OPENS_AFTER


async def test_a_pod_that_asks_for_peace_gets_it_while_another_answers(gateway: Gateway, engines: EngineRoom) -> None:
    busy = await engines.start(answer({"error": {"message": "busy"}}, status=429, headers="Retry-After: 30\r\n"))
    good = await engines.start(CHAT.good())
    gateway.serve("llama", busy.address, good.address)

    async with calling(gateway.port) as caller:
        seen = {outcome(CHAT, await caller.post(CHAT.path, CHAT.document)) for _ in range(ROUNDS)}

    assert seen == {ANSWER}
    assert len(busy.received) == 1


async def test_a_pod_that_hangs_is_asked_no_more(gateway: Gateway, engines: EngineRoom) -> None:
    """All tries share one deadline, so nobody is asked after it; but soon nobody asks the pod that hangs."""
    hanging, good = await engines.start(hang), await engines.start(CHAT.good())
    gateway.serve("llama", hanging.address, good.address, timeout=0.5)

    async with calling(gateway.port) as caller:
        seen = [outcome(CHAT, await caller.post(CHAT.path, CHAT.document)) for _ in range(ROUNDS + OPENS_AFTER)]

    assert seen.count("engine_timeout") == OPENS_AFTER
    assert set(seen[-3:]) == {ANSWER}
    assert gateway.selection.state(hanging.address) == "open"
