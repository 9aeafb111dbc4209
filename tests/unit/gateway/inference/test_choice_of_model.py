"""`auto`: the model is chosen by what a request asks for."""

import pytest

from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import build_routes
from tests.unit.gateway.apis import ANSWER, APIS, CHAT, CHAT_STREAM, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.raw_caller import Seen, calling
from tests.unit.gateway.scripted_engine import Connection, Received


async def serve(gateway: Gateway, engines: EngineRoom, api: Api) -> dict[str, int]:
    """Backends for chat and for code; how often each was asked is counted as it is."""
    asked = {"talker": 0, "coder": 0}

    async def script(received: Received, connection: Connection) -> None:
        asked[received.json["model"]] += 1
        await api.good()(received, connection)

    pods = {name: await engines.start(script) for name in asked}
    gateway.table = build_routes(
        [
            Backend("a", "talker", 1, "talker", (), Policy(capabilities=("chat",))),
            Backend("a", "coder", 2, "coder", (), Policy(capabilities=("code",))),
        ],
        [Endpoints("a", name, (engine.address,)) for name, engine in pods.items()],
    )
    return asked


async def ask(gateway: Gateway, api: Api, model: str, text: str, **headers: str) -> Seen:
    document = {**api.document, "model": model}
    document |= {"messages": [{"role": "user", "content": text}]} if "messages" in document else {"input": text}
    async with calling(gateway.port) as caller:
        return await caller.post(api.path, document, **headers)


@pytest.mark.parametrize("api", [CHAT, CHAT_STREAM, APIS[5]], ids=lambda api: api.name)
@pytest.mark.parametrize(
    ("model", "text", "headers", "expected"),
    [
        ("auto", "Tell me a story", {}, "talker"),
        ("auto", "Implement a queue", {}, "coder"),
        ("auto", "Tell me a story", {"X-SPLAI-Capability": "code"}, "coder"),
        ("auto:code", "Tell me a story", {}, "coder"),
        ("auto:chat", "Implement a queue", {"X-SPLAI-Capability": "code"}, "talker"),
        ("auto:painting", "Paint", {}, "talker"),
    ],
)
async def test_auto_asks_the_backend_for_what_is_wanted(
    gateway: Gateway,
    engines: EngineRoom,
    api: Api,
    model: str,
    text: str,
    headers: dict[str, str],
    expected: str,
) -> None:
    asked = await serve(gateway, engines, api)

    seen = await ask(gateway, api, model, text, **headers)

    assert outcome(api, seen) == ANSWER
    assert asked == {name: int(name == expected) for name in asked}


async def test_an_answer_to_auto_names_it(gateway: Gateway, engines: EngineRoom) -> None:
    await serve(gateway, engines, CHAT)

    assert (await ask(gateway, CHAT, "auto", "Hi")).json["model"] == "auto"


@pytest.mark.parametrize("api", [CHAT, CHAT_STREAM, APIS[5]], ids=lambda api: api.name)
@pytest.mark.parametrize(
    ("model", "expected"), [("sql", "llama:sql"), ("a/sql", "llama:sql"), ("llama3.1:8b", "llama"), ("gpt", "llama")]
)
async def test_an_engine_is_asked_for_an_adapter_or_for_its_model(
    gateway: Gateway, engines: EngineRoom, api: Api, model: str, expected: str
) -> None:
    names: list[str] = []

    async def script(received: Received, connection: Connection) -> None:
        names.append(received.json["model"])
        await api.good()(received, connection)

    engine = await engines.start(script)
    backend = Backend("a", "b", 1, "llama3.1:8b", ("gpt",), adapters=(("sql", "llama:sql"),), served_name="llama")
    gateway.table = build_routes([backend], [Endpoints("a", "b", (engine.address,))])

    seen = await ask(gateway, api, model, "Hi")

    assert outcome(api, seen) == ANSWER
    assert names == [expected]
