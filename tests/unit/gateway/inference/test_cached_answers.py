"""Answers that were given before: to whom they are given again, and which are not."""

import asyncio
from typing import Any

import pytest

from tests.unit.gateway.apis import ANSWER, APIS, CHAT, CHAT_STREAM, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.raw_caller import Seen, calling
from tests.unit.gateway.scripted_engine import Connection, Received, ScriptedEngine, answer, stream
from tests.unit.gateway.until import until

WHOLE = [api for api in APIS if not api.events]


async def ask(gateway: Gateway, api: Api = CHAT, **fields: Any) -> Seen:
    async with calling(gateway.port) as caller:
        return await caller.post(api.path, {**api.document, **fields})


def serve(gateway: Gateway, engine: ScriptedEngine, **policy: Any) -> None:
    gateway.serve("llama", engine.address, aliases=("gpt",), cache_seconds=60.0, **policy)


@pytest.mark.parametrize("api", WHOLE, ids=lambda api: api.name)
async def test_the_same_request_gets_the_same_answer(gateway: Gateway, engines: EngineRoom, api: Api) -> None:
    engine = await engines.start(api.good())
    serve(gateway, engine, native_responses=api.native)

    first, second = await ask(gateway, api), await ask(gateway, api)

    assert second.body == first.body
    assert outcome(api, second) == ANSWER
    assert ("x-splai-cache" in first.headers, second.headers.get("x-splai-cache")) == (False, "hit")
    assert len(engine.received) == 1


async def test_two_at_once_cause_one_call(gateway: Gateway, engines: EngineRoom) -> None:
    opened = asyncio.Event()

    async def wait(received: Received, connection: Connection) -> None:
        await opened.wait()
        await CHAT.good()(received, connection)

    engine = await engines.start(wait)
    serve(gateway, engine)

    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(ask(gateway)) for _ in range(3)]
        await until(lambda: gateway.admission.total == 3)
        opened.set()

    assert {outcome(CHAT, it.result()) for it in asked} == {ANSWER}
    assert sum("x-splai-cache" in it.result().headers for it in asked) == 2
    assert len(engine.received) == 1


async def test_when_the_one_who_asks_leaves_the_next_one_asks(gateway: Gateway, engines: EngineRoom) -> None:
    opened = asyncio.Event()

    async def wait(received: Received, connection: Connection) -> None:
        await opened.wait()
        await CHAT.good()(received, connection)

    engine = await engines.start(wait)
    serve(gateway, engine)
    async with calling(gateway.port) as first, asyncio.TaskGroup() as tasks:
        first.send(CHAT.path, CHAT.document)
        await until(lambda: engine.received)
        second = tasks.create_task(ask(gateway))
        await until(lambda: gateway.admission.total == 2)

        first.leave()
        await until(lambda: len(engine.received) == 2)
        opened.set()

    assert outcome(CHAT, second.result()) == ANSWER


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.5},
        {"messages": [{"role": "user", "content": "Hi!"}]},
        {"model": "gpt"},
        {"seed": 1},
        {"tools": []},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_request_is_asked_anew(gateway: Gateway, engines: EngineRoom, other: dict[str, Any]) -> None:
    engine = await engines.start(CHAT.good())
    serve(gateway, engine)
    await ask(gateway)

    seen = await ask(gateway, **other)

    assert "x-splai-cache" not in seen.headers
    assert len(engine.received) == 2


async def test_apis_with_the_same_request_have_their_own_answers(gateway: Gateway, engines: EngineRoom) -> None:
    by_path = {api.path: api for api in APIS if api.name in ("embeddings", "native responses")}

    async def script(received: Received, connection: Connection) -> None:
        await by_path[received.path].good()(received, connection)

    engine = await engines.start(script)
    serve(gateway, engine, native_responses=True)
    embeddings, responses = by_path["/v1/embeddings"], by_path["/v1/responses"]
    assert embeddings.document == responses.document

    for _ in range(2):
        assert outcome(embeddings, await ask(gateway, embeddings)) == ANSWER
        assert outcome(responses, await ask(gateway, responses)) == ANSWER


async def test_streams_are_not_kept(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(stream(*CHAT_STREAM.events.values()))
    serve(gateway, engine)

    for _ in range(2):
        assert outcome(CHAT_STREAM, await ask(gateway, CHAT_STREAM)) == ANSWER

    assert len(engine.received) == 2


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_errors_are_not_kept(gateway: Gateway, engines: EngineRoom, status: int) -> None:
    engine = await engines.start(answer({"error": {"message": "no", "code": "because"}}, status=status))
    serve(gateway, engine, retries=0)
    failed = await ask(gateway)
    engine.script = CHAT.good()

    seen = await ask(gateway)

    assert outcome(CHAT, failed) != ANSWER
    assert outcome(CHAT, seen) == ANSWER
    assert len(engine.received) == 2


async def test_without_a_cache_every_request_is_asked(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(CHAT.good())
    gateway.serve("llama", engine.address)

    for _ in range(2):
        await ask(gateway)

    assert len(engine.received) == 2
