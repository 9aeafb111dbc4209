"""Tokens are counted for every answer whose engine tells them; a caller sees them where it asked."""

import pytest

from tests.unit.gateway.apis import ANSWER, APIS, CHAT_STREAM, Api, outcome
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.raw_caller import calling
from tests.unit.gateway.until import until

TOKENS = "splai_gateway_tokens_total"


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_tokens_are_counted_for_every_answer(gateway: Gateway, engines: EngineRoom, api: Api) -> None:
    engine = await engines.start(api.good())
    gateway.serve("llama", engine.address, native_responses=api.native)

    async with calling(gateway.port) as caller:
        seen = await caller.post(api.path, api.document)
    await until(lambda: not gateway.leaked())

    assert outcome(api, seen) == ANSWER
    assert gateway.value(TOKENS, model="llama", type="input") == 3
    assert gateway.value(TOKENS, model="llama", type="output") == (0 if api.name == "embeddings" else 2)
    if api.events and not api.is_responses:
        assert b"usage" not in seen.body
        assert engine.received[0].json["stream_options"] == {"include_usage": True}


async def test_who_asked_for_them_sees_them(gateway: Gateway, engines: EngineRoom) -> None:
    engine = await engines.start(CHAT_STREAM.good())
    gateway.serve("llama", engine.address)

    async with calling(gateway.port) as caller:
        seen = await caller.post(CHAT_STREAM.path, {**CHAT_STREAM.document, "stream_options": {"include_usage": True}})

    assert CHAT_STREAM.events["usage"] in seen.body
