"""A request runs a workflow once at most, whatever becomes of it: nobody knows what the program has done by then."""

from typing import Any

import pytest

from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import build_routes
from tests.unit.gateway.apis import ANSWER, CHAT, CHAT_STREAM, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.faults import Fault, close, faults
from tests.unit.gateway.raw_caller import Seen, calling
from tests.unit.gateway.scripted_engine import Connection, Received, answer, unused_address

FAULTS = [
    pytest.param(api, fault, id=f"{api.name}: {fault.name}")
    for api in (CHAT, CHAT_STREAM)
    for fault in faults(api)
    if fault.script is not None and fault.calls > 1 and not fault.takes_time
]


async def ask(gateway: Gateway, api: Api = CHAT, **fields: Any) -> Seen:
    async with calling(gateway.port) as caller:
        return await caller.post(api.path, {**api.document, **fields})


@pytest.mark.parametrize(("api", "fault"), FAULTS)
async def test_a_fault_that_any_other_engine_is_asked_again_for_is_the_answer(
    gateway: Gateway, engines: EngineRoom, api: Api, fault: Fault
) -> None:
    assert fault.script is not None
    pods = [await engines.start(fault.script) for _ in range(2)]
    gateway.serve("desk", *(pod.address for pod in pods), runs_once=True, retries=5)

    seen = await ask(gateway, api, model="desk")

    assert sum(len(pod.received) for pod in pods) == 1
    assert (seen.status, seen.headers.get("x-should-retry")) == (fault.status, "false")


async def test_its_fallback_is_not_asked_after_it_either(gateway: Gateway, engines: EngineRoom) -> None:
    failing, fallback = await engines.start(close), await engines.start(CHAT.good())
    gateway.table = build_routes(
        [
            Backend("a", "desk", 1, "desk", (), Policy(fallbacks=("a/model",)), runs_once=True),
            Backend("a", "model", 2, "model"),
        ],
        [Endpoints("a", "desk", (failing.address,)), Endpoints("a", "model", (fallback.address,))],
    )

    seen = await ask(gateway, model="desk")

    assert (seen.status, outcome(CHAT, seen)) == (502, "engine_disconnected")
    assert not fallback.received


async def test_where_no_connection_came_about_nothing_has_run_and_another_pod_is_asked(
    gateway: Gateway, engines: EngineRoom
) -> None:
    good = await engines.start(CHAT.good())
    gateway.serve("desk", unused_address(), good.address, runs_once=True)

    answers = {outcome(CHAT, await ask(gateway, model="desk")) for _ in range(10)}

    assert answers == {ANSWER}
    assert len(good.received) == 10


async def test_a_kept_connection_that_closes_is_not_made_good_by_sending_again(
    gateway: Gateway, engines: EngineRoom
) -> None:
    """A program that dies in its run looks just like an idle connection that closed."""

    async def answer_once_then_die(received: Received, connection: Connection) -> None:
        script = CHAT.good() if len(pod.received) == 1 else close
        await script(received, connection)

    pod = await engines.start(answer_once_then_die)
    gateway.serve("desk", pod.address, runs_once=True)
    await ask(gateway, model="desk")

    seen = await ask(gateway, model="desk")

    assert (seen.status, seen.headers["x-should-retry"]) == (502, "false")
    assert len(pod.received) == 2


async def test_its_own_500_is_passed_on_with_one_word_on_retries(gateway: Gateway, engines: EngineRoom) -> None:
    error = {"error": {"message": "Error processing request: no such ticket"}}
    pod = await engines.start(answer(error, status=500, headers="X-Should-Retry: false\r\n"))
    gateway.serve("desk", pod.address, runs_once=True)

    async with gateway.http() as http:
        reply = await http.post(CHAT.path, json={**CHAT.document, "model": "desk"})

    assert reply.status_code == 500
    assert reply.json()["detail"] == "Error processing request: no such ticket"
    assert reply.headers.get_list("X-Should-Retry") == ["false"]


async def test_a_deadline_is_not_to_be_repeated_by_sdks(gateway: Gateway, engines: EngineRoom) -> None:
    async def never(_: Received, connection: Connection) -> None:
        await connection.peer_left()

    pod = await engines.start(never)
    gateway.serve("desk", pod.address, runs_once=True, timeout=0.3)

    seen = await ask(gateway, model="desk")

    assert (seen.status, seen.headers["x-should-retry"]) == (504, "false")
