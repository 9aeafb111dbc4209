"""Requests that wait, for their turn or for a backend's first pod: what callers hear meanwhile, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from splai.gateway.inference import waiting
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import build_routes
from splai.gateway.settings import GatewaySettings
from tests.unit.gateway.apis import ANSWER, APIS, CHAT, CHAT_STREAM, STREAMED, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway, running_gateway
from tests.unit.gateway.raw_caller import RawCaller, Seen, calling
from tests.unit.gateway.scripted_engine import Connection, Received, Script, answer
from tests.unit.gateway.until import until

PING = b": ping\n\n"
RESPONSES_STREAM = next(api for api in APIS if api.name == "responses, streamed")
WAITS = [CHAT, CHAT_STREAM]


@pytest.fixture
async def caller(gateway: Gateway) -> AsyncIterator[RawCaller]:
    async with calling(gateway.port) as caller:
        yield caller


@pytest.fixture
def soon_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PING_SECONDS", 0.01)


class Gate:
    """An engine that answers when it is let."""

    def __init__(self, script: Script) -> None:
        self.opened = asyncio.Event()
        self._script = script

    async def __call__(self, received: Received, connection: Connection) -> None:
        await self.opened.wait()
        await self._script(received, connection)


async def occupy(gateway: Gateway, caller: RawCaller) -> None:
    """Take the only turn that there is."""
    caller.send(CHAT.path, CHAT.document)
    await until(lambda: gateway.admission.total == 1)


@pytest.mark.parametrize("api", WAITS, ids=lambda api: api.name)
async def test_a_second_request_waits_for_the_first_ones_turn(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, api: Api
) -> None:
    gate = Gate(CHAT.good())
    engine = await engines.start(gate)
    gateway.serve("llama", engine.address, max_in_flight=1)
    await occupy(gateway, caller)

    async with calling(gateway.port) as second, asyncio.TaskGroup() as tasks:
        seen = tasks.create_task(second.post(api.path, api.document))
        await until(lambda: gateway.admission.total == 2)
        await until(lambda: engine.received)
        assert len(engine.received) == 1
        engine.script = api.good()
        gate.opened.set()

    assert outcome(api, seen.result()) == ANSWER
    assert gateway.value("splai_gateway_queue_wait_seconds_count", model="llama") == 1


@pytest.mark.parametrize("api", WAITS, ids=lambda api: api.name)
@pytest.mark.parametrize(
    ("policy", "code"), [({"max_queued": 0}, "queue_full"), ({"max_queue_seconds": 0.02}, "queue_timeout")]
)
async def test_no_turn_is_429_and_says_when_to_come_back(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, api: Api, policy: dict[str, Any], code: str
) -> None:
    gate = Gate(CHAT.good())
    engine = await engines.start(gate)
    gateway.serve("llama", engine.address, max_in_flight=1, **policy)
    await occupy(gateway, caller)

    async with calling(gateway.port) as second:
        seen = await second.post(api.path, api.document)

    assert (seen.status, outcome(api, seen)) == (429, code)
    assert (seen.headers["retry-after"], seen.headers["retry-after-ms"]) == ("5", "5000")
    assert gateway.admission.total == 1
    gate.opened.set()


async def test_who_waits_for_a_turn_until_the_deadline_hears_that_the_model_was_busy(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller
) -> None:
    gate = Gate(CHAT.good())
    engine = await engines.start(gate)
    gateway.serve("llama", engine.address, max_in_flight=1, timeout=30.0)
    await occupy(gateway, caller)
    gateway.serve("llama", engine.address, max_in_flight=1, timeout=0.05)

    async with calling(gateway.port) as second:
        seen = await second.post(CHAT.path, CHAT.document)

    assert (seen.status, outcome(CHAT, seen)) == (429, "queue_timeout")
    gate.opened.set()


@pytest.mark.parametrize("api", WAITS, ids=lambda api: api.name)
async def test_a_caller_that_leaves_the_queue_takes_no_turn(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, api: Api
) -> None:
    gate = Gate(CHAT.good())
    engine = await engines.start(gate)
    gateway.serve("llama", engine.address, max_in_flight=1)
    await occupy(gateway, caller)
    async with calling(gateway.port) as second:
        second.send(api.path, api.document)
        await until(lambda: gateway.admission.total == 2)

        second.leave()

        await until(lambda: gateway.admission.total == 1)
    gate.opened.set()
    await until(lambda: not gateway.leaked())
    assert len(engine.received) == 1


async def test_a_turn_that_comes_as_its_caller_leaves_is_given_back(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller
) -> None:
    gate = Gate(CHAT.good())
    engine = await engines.start(gate)
    gateway.serve("llama", engine.address, max_in_flight=1)
    for _ in range(20):
        gate.opened.clear()
        await occupy(gateway, caller)
        async with calling(gateway.port) as second:
            second.send(CHAT_STREAM.path, CHAT_STREAM.document)
            await until(lambda: gateway.admission.total == 2)
            gate.opened.set()
            second.leave()
        status, headers = await caller.head()
        await caller.reader.readexactly(int(headers["content-length"]))

        assert status == 200
        await until(lambda: not gateway.leaked())


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_a_request_for_a_backend_at_zero_is_answered_by_its_first_pod(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, api: Api
) -> None:
    engine = await engines.start(api.good())
    gateway.serve("llama", scaled_to_zero=True, native_responses=api.native)

    async with asyncio.TaskGroup() as tasks:
        seen = tasks.create_task(caller.post(api.path, api.document))
        await until(lambda: gateway.value("splai_gateway_requests_held", model="llama") == 1)
        gateway.serve("llama", engine.address, native_responses=api.native)

    assert outcome(api, seen.result()) == ANSWER
    assert PING not in seen.result().body
    assert gateway.value("splai_gateway_requests_held", model="llama") == 0


@pytest.mark.parametrize("api", STREAMED, ids=lambda api: api.name)
async def test_a_held_stream_hears_pings_and_then_its_answer(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, soon_pings: None, api: Api
) -> None:
    engine = await engines.start(api.good())
    gateway.serve("llama", scaled_to_zero=True, native_responses=api.native)
    caller.send(api.path, api.document)

    status, headers = await caller.head()
    chunks = caller.chunks()
    assert [await anext(chunks) for _ in range(3)] == [PING] * 3
    gateway.serve("llama", engine.address, native_responses=api.native)
    rest = b"".join([chunk async for chunk in chunks]).replace(PING, b"")

    assert outcome(api, Seen(status, headers, rest)) == ANSWER


async def fail_after_a_ping(gateway: Gateway, caller: RawCaller, api: Api, then: Callable[[], None]) -> bytes:
    """What a held stream hears behind its pings when the pod that comes does not answer."""
    gateway.serve("llama", scaled_to_zero=True)
    caller.send(api.path, api.document)
    await caller.head()
    chunks = caller.chunks()
    assert await anext(chunks) == PING
    then()
    return b"".join([chunk async for chunk in chunks]).replace(PING, b"")


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (answer({"error": {"message": "too long", "code": "context"}}, status=400), "context"),
        (answer({"error": {"message": "no"}}, status=401), "engine_refused"),
        (answer(b"oops"), "engine_broken_reply"),
    ],
    ids=["refused", "refuses the gateway", "garbage"],
)
@pytest.mark.parametrize("api", [CHAT_STREAM, RESPONSES_STREAM], ids=lambda api: api.name)
async def test_what_fails_after_a_ping_is_an_error_event(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, soon_pings: None, api: Api, refusal: Script, code: str
) -> None:
    engine = await engines.start(refusal)

    rest = await fail_after_a_ping(
        gateway, caller, api, lambda: gateway.serve("llama", engine.address, retries=0, timeout=30.0)
    )

    if api is CHAT_STREAM:
        error, done, _ = rest.split(b"\n\n")
        assert done == b"data: [DONE]"
    else:
        error, _ = rest.split(b"\n\n")
        assert error.startswith(b"event: error\n")
    assert json.loads(error.partition(b"data: ")[2])["error"]["code"] == code


async def test_a_pod_that_hangs_after_pings_is_counted_as_failed(
    gateway: Gateway, engines: EngineRoom, caller: RawCaller, soon_pings: None
) -> None:
    async def hang(_: Received, connection: Connection) -> None:
        await connection.peer_left()

    engine = await engines.start(hang)
    for _ in range(5):
        gateway.serve("llama", scaled_to_zero=True, timeout=0.3)
        caller.send(CHAT_STREAM.path, CHAT_STREAM.document)
        await caller.head()
        gateway.serve("llama", engine.address, timeout=0.3)
        assert b"engine_timeout" in b"".join([chunk async for chunk in caller.chunks()])
        await until(lambda: not gateway.leaked())

    assert gateway.value("splai_gateway_upstream_errors_total", model="llama", reason="timeout") == 5


@pytest.mark.parametrize("api", WAITS, ids=lambda api: api.name)
@pytest.mark.parametrize(
    ("settings", "policy", "code"),
    [
        ({"max_held": 0}, {}, "too_many_held"),
        ({"max_hold_seconds": 0}, {}, "model_not_ready"),
        ({}, {"timeout": 0.05}, "model_not_ready"),
    ],
    ids=["too many", "too long", "beyond the deadline"],
)
async def test_who_is_not_held_is_503_and_told_when_to_come_back(
    api: Api, settings: dict[str, Any], policy: dict[str, Any], code: str
) -> None:
    async with (
        running_gateway(settings=GatewaySettings(access_log=False, **settings)) as gateway,
        calling(gateway.port) as caller,
    ):
        gateway.serve("llama", scaled_to_zero=True, **policy)

        seen = await caller.post(api.path, api.document)

    assert (seen.status, outcome(api, seen)) == (503, code)
    assert seen.headers["retry-after"] == "5"


@pytest.mark.parametrize("api", WAITS, ids=lambda api: api.name)
async def test_a_caller_that_leaves_is_held_no_longer(gateway: Gateway, caller: RawCaller, api: Api) -> None:
    gateway.serve("llama", scaled_to_zero=True)
    caller.send(api.path, api.document)
    await until(lambda: gateway.value("splai_gateway_requests_held", model="llama") == 1)

    caller.leave()

    await until(lambda: gateway.value("splai_gateway_requests_held", model="llama") == 0)
    labels = {"route": api.path, "model": "llama", "code": "499"}
    await until(lambda: gateway.value("splai_gateway_requests_total", **labels) == 1)


async def test_a_backend_at_zero_that_does_not_come_is_answered_for_by_its_fallback(
    engines: EngineRoom,
) -> None:
    good = await engines.start(CHAT.good())
    settings = GatewaySettings(access_log=False, max_hold_seconds=0)
    async with running_gateway(settings=settings) as gateway, calling(gateway.port) as caller:
        first = Backend("a", "first", 1, "llama", (), Policy(fallbacks=("a/second",)), scaled_to_zero=True)
        gateway.table = build_routes(
            [first, Backend("a", "second", 2, "other")], [Endpoints("a", "second", (good.address,))]
        )

        assert outcome(CHAT, await caller.post(CHAT.path, CHAT.document)) == ANSWER
