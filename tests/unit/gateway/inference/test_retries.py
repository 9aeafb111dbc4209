"""Tries beyond the first: where they go, when they come, how many there are, and what SDKs are told of them."""

from typing import Any

import pytest

from splai.gateway.inference import attempts
from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import build_routes
from tests.unit.gateway.apis import ANSWER, CHAT, CHAT_STREAM, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.faults import close
from tests.unit.gateway.raw_caller import Seen, calling
from tests.unit.gateway.scripted_engine import Connection, Received, Script, ScriptedEngine, answer, unused_address
from tests.unit.gateway.until import until

BROKEN = answer({"error": {"message": "no", "code": "because"}}, status=500)


def busy(retry_after: str) -> Script:
    error = {"error": {"message": "busy", "code": "because"}}
    return answer(error, status=429, headers=f"Retry-After: {retry_after}\r\n")


def in_turn(*scripts: Script) -> Script:
    """Another script each time; the last one again and again."""
    left = list(scripts)

    async def script(received: Received, connection: Connection) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(received, connection)

    return script


async def ask(gateway: Gateway, api: Api = CHAT, **fields: Any) -> Seen:
    async with calling(gateway.port) as caller:
        return await caller.post(api.path, {**api.document, **fields})


def serve(gateway: Gateway, **backends: tuple[ScriptedEngine | None, dict[str, Any]]) -> None:
    """Backends by name, each with a model of its name, an engine or None that is not there, and a policy."""
    gateway.table = build_routes(
        [
            Backend("a", name, created, name, (), Policy(**{"timeout": 30.0, **policy}))
            for created, (name, (_, policy)) in enumerate(backends.items())
        ],
        [Endpoints("a", name, (engine.address,)) for name, (engine, _) in backends.items() if engine is not None],
    )


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("api", [CHAT, CHAT_STREAM], ids=lambda api: api.name)
async def test_a_fallback_answers_under_the_name_that_was_asked_for(
    gateway: Gateway, engines: EngineRoom, api: Api
) -> None:
    bad, good = await engines.start(BROKEN), await engines.start(api.good())
    serve(gateway, first=(bad, {"fallbacks": ("a/second",)}), second=(good, {}))

    seen = await ask(gateway, api, model="first")

    assert outcome(api, seen) == ANSWER
    assert good.received[0].json["model"] == "second"
    assert b'"model": "first"' in seen.body
    assert b"second" not in seen.body
    assert gateway.value("splai_gateway_fallbacks_total", model="first") == 1


async def test_fallbacks_are_asked_in_their_order(gateway: Gateway, engines: EngineRoom) -> None:
    asked: list[str] = []

    async def note(received: Received, connection: Connection) -> None:
        asked.append(received.json["model"])
        await BROKEN(received, connection)

    pods = [await engines.start(note) for _ in range(4)]
    serve(
        gateway,
        one=(pods[0], {"fallbacks": ("a/three", "a/two"), "retries": 3}),
        two=(pods[1], {}),
        three=(pods[2], {"fallbacks": ("a/four",)}),
        four=(pods[3], {}),
    )

    seen = await ask(gateway, model="one")

    assert asked == ["one", "three", "two", "four"]
    assert seen.status == 500


async def test_fallbacks_in_a_circle_end_with_the_tries_that_the_backend_allows(
    gateway: Gateway, engines: EngineRoom, no_pauses: None
) -> None:
    first, second = await engines.start(BROKEN), await engines.start(BROKEN)
    serve(gateway, first=(first, {"fallbacks": ("a/second",)}), second=(second, {"fallbacks": ("a/first",)}))

    seen = await ask(gateway, model="first")

    assert seen.status == 500
    assert (len(first.received), len(second.received)) == (2, 1)
    assert seen.headers["x-should-retry"] == "false"


async def test_a_backend_without_a_ready_pod_is_answered_for_by_its_fallback(
    gateway: Gateway, engines: EngineRoom
) -> None:
    good = await engines.start(CHAT.good())
    serve(gateway, first=(None, {"fallbacks": ("a/second",)}), second=(good, {}))

    assert outcome(CHAT, await ask(gateway, model="first")) == ANSWER


async def test_retries_of_a_model_have_a_budget(
    gateway: Gateway, engines: EngineRoom, no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FREE_RETRIES", 3)
    engine = await engines.start(busy("0"))
    gateway.serve("llama", engine.address)

    replies = [await ask(gateway) for _ in range(3)]

    assert len(engine.received) == 3 + 3
    assert [reply.headers.get("x-should-retry") for reply in replies] == ["false", "false", None]


async def test_a_pod_that_is_not_reached_costs_no_retry_of_the_budget(
    gateway: Gateway, engines: EngineRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FREE_RETRIES", 0)
    good = await engines.start(CHAT.good())
    gateway.serve("llama", unused_address(), good.address)

    assert {outcome(CHAT, await ask(gateway)) for _ in range(10)} == {ANSWER}
    assert gateway.value("splai_gateway_upstream_errors_total", model="llama", reason="unreachable") > 0


async def test_a_short_retry_after_is_waited_for_and_the_same_pod_asked_again(
    gateway: Gateway, engines: EngineRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    engine = await engines.start(in_turn(busy("2"), CHAT.good()))
    gateway.serve("llama", engine.address)
    with monkeypatch.context() as patch:
        patch.setattr("splai.gateway.inference.attempts.asyncio.sleep", note)
        seen = await ask(gateway)

    assert outcome(CHAT, seen) == ANSWER
    assert pauses == [2.0]
    assert len(engine.received) == 2


@pytest.mark.parametrize("retry_after", ["3", "86400"])
async def test_a_long_retry_after_is_for_the_caller_at_once(
    gateway: Gateway, engines: EngineRoom, retry_after: str
) -> None:
    engine = await engines.start(busy(retry_after))
    gateway.serve("llama", engine.address)

    seen = await ask(gateway)

    assert (seen.status, seen.headers["retry-after"]) == (429, retry_after)
    assert "x-should-retry" not in seen.headers
    assert len(engine.received) == 1


async def test_a_retry_after_beyond_the_deadline_is_not_waited_for(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(busy("2"))
    gateway.serve("llama", engine.address, timeout=1.0)

    assert (await ask(gateway)).status == 429
    assert len(engine.received) == 1


async def test_when_all_breakers_are_open_the_caller_hears_when_to_come_back(
    gateway: Gateway, engines: EngineRoom
) -> None:
    engine = await engines.start(close)
    gateway.serve("llama", engine.address, retries=4)
    await ask(gateway)

    seen = await ask(gateway)

    assert (seen.status, outcome(CHAT, seen)) == (503, "model_not_ready")
    assert 1 <= int(seen.headers["retry-after"]) <= 60
    assert len(engine.received) == 5


async def test_a_deadline_after_several_tries_is_not_to_be_repeated_by_sdks(
    gateway: Gateway, engines: EngineRoom
) -> None:
    async def never(_: Received, connection: Connection) -> None:
        await connection.peer_left()

    engine = await engines.start(in_turn(busy("0"), never))
    gateway.serve("llama", engine.address, timeout=0.3)

    seen = await ask(gateway)

    assert (seen.status, seen.headers["x-should-retry"]) == (504, "false")


async def test_a_caller_that_leaves_during_a_pause_is_not_worked_for(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(busy("2"))
    gateway.serve("llama", engine.address)

    async with calling(gateway.port) as caller:
        caller.send(CHAT.path, CHAT.document)
        await until(lambda: gateway.value("splai_gateway_upstream_errors_total", model="llama", reason="overloaded"))
        caller.leave()
        await until(lambda: not gateway.leaked())

    assert len(engine.received) == 1


async def test_a_refused_request_does_not_soothe_a_breaker(gateway: Gateway, engines: EngineRoom) -> None:
    wrong = answer({"error": {"message": "too long", "code": "context"}}, status=400)
    engine = await engines.start(in_turn(*[BROKEN] * 4, wrong, BROKEN))
    gateway.serve("llama", engine.address, retries=0)

    statuses = [(await ask(gateway)).status for _ in range(6)]

    assert statuses == [500, 500, 500, 500, 400, 500]
    assert gateway.selection.state(engine.address) == "open"


MISCONFIGURED = answer(
    {"error": {"message": "correct the key", "code": "because"}}, status=502, headers="X-Should-Retry: false\r\n"
)


async def test_what_no_try_can_cure_is_told_to_every_caller_until_it_is_corrected(
    gateway: Gateway, engines: EngineRoom
) -> None:
    engine = await engines.start(in_turn(*[MISCONFIGURED] * 10, CHAT.good()))
    gateway.serve("llama", engine.address)

    replies = [await ask(gateway) for _ in range(10)]

    assert {(reply.status, reply.json["error"]["message"]) for reply in replies} == {(502, "correct the key")}
    assert {reply.headers["x-should-retry"] for reply in replies} == {"false"}
    assert len(engine.received) == 10
    assert outcome(CHAT, await ask(gateway)) == ANSWER


async def test_of_two_pods_that_no_try_can_cure_one_goes_on_to_tell(gateway: Gateway, engines: EngineRoom) -> None:
    pods = [await engines.start(MISCONFIGURED) for _ in range(2)]
    gateway.serve("llama", *(pod.address for pod in pods))

    assert {(await ask(gateway)).json["error"]["message"] for _ in range(20)} == {"correct the key"}
    assert sorted(gateway.selection.state(pod.address) for pod in pods) == ["closed", "open"]


async def test_a_pod_that_no_try_can_cure_is_passed_over_where_a_fallback_answers(
    gateway: Gateway, engines: EngineRoom
) -> None:
    bad, good = await engines.start(MISCONFIGURED), await engines.start(CHAT.good())
    serve(gateway, first=(bad, {"fallbacks": ("a/second",)}), second=(good, {}))

    assert {outcome(CHAT, await ask(gateway, model="first")) for _ in range(20)} == {ANSWER}
    assert len(bad.received) == 5
