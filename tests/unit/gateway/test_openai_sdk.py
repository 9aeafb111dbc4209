"""The official client against the gateway: what its users see."""

import base64
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.unit.gateway.apis import ANSWER, APIS, STREAMED, Api
from tests.unit.gateway.conftest import EngineRoom, Gateway
from tests.unit.gateway.faults import Fault, faults
from tests.unit.gateway.scripted_engine import Connection, Received, answer, stream

MESSAGES: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hi"},
]


@pytest.fixture
async def sdk(gateway: Gateway) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="local-dev-token", max_retries=0) as sdk:
        yield sdk


def chunk(**delta: object) -> bytes:
    finish = delta.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    document = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "llama", "choices": [choice]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


async def chat_engine(request: Received, connection: Connection) -> None:
    """Answers as llama.cpp does, streamed when asked to."""
    if request.json.get("stream"):
        usage = b'data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"llama","choices":[],'
        usage += b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
        chunks = (chunk(role="assistant", content="Hel"), chunk(content="lo"), chunk(finish_reason="stop"), usage)
        await stream(*chunks, b"data: [DONE]\n\n")(request, connection)
        return
    message = {"role": "assistant", "content": "Hello"}
    document = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "llama"}
    document |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    await answer(document)(request, connection)


@pytest.mark.parametrize("model", ["llama", "llama3.1:8b", "team-a/llama"])
async def test_chat(gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI, model: str) -> None:
    engine = await engines.start(chat_engine)
    gateway.serve("llama", engine.address, aliases=("llama3.1:8b",))

    reply = await sdk.chat.completions.create(model=model, messages=MESSAGES)

    assert reply.choices[0].message.content == "Hello"
    assert reply.model == model
    assert engine.received[0].json == {"model": "llama", "messages": MESSAGES}


async def test_streamed_chat_read_as_the_tutorials_do(
    gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI
) -> None:
    engine = await engines.start(chat_engine)
    gateway.serve("llama", engine.address, aliases=("gpt",))

    pieces = await sdk.chat.completions.create(model="gpt", messages=MESSAGES, stream=True)
    chunks = [piece async for piece in pieces]

    assert "".join(piece.choices[0].delta.content or "" for piece in chunks) == "Hello"
    assert {piece.model for piece in chunks} == {"gpt"}


async def test_usage_of_a_stream_for_those_who_ask(
    gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI
) -> None:
    engine = await engines.start(chat_engine)
    gateway.serve("llama", engine.address)

    pieces = await sdk.chat.completions.create(
        model="llama", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    last = [piece async for piece in pieces][-1]

    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 5


async def test_a_stream_that_breaks_off_raises(gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI) -> None:
    engine = await engines.start(stream(chunk(role="assistant", content="Hel")))
    gateway.serve("llama", engine.address)

    pieces = await sdk.chat.completions.create(model="llama", messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="before the answer was finished"):
        _ = [piece async for piece in pieces]


async def test_embeddings_in_the_sdks_own_coding(
    gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI
) -> None:
    vector = base64.b64encode(struct.pack("<3f", 0.5, -1.0, 2.0)).decode()
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    engine = await engines.start(answer({"object": "list", "model": "llama", "data": data, "usage": {}}))
    gateway.serve("llama", engine.address)

    reply = await sdk.embeddings.create(model="llama", input="text")

    assert reply.data[0].embedding == [0.5, -1.0, 2.0]
    assert engine.received[0].json["encoding_format"] == "base64"


async def test_completions(gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI) -> None:
    choice = {"index": 0, "text": " there", "finish_reason": "length", "logprobs": None}
    document = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "llama", "choices": [choice]}
    engine = await engines.start(answer(document))
    gateway.serve("llama", engine.address)

    reply = await sdk.completions.create(model="llama", prompt="Hi")

    assert reply.choices[0].text == " there"


async def test_models(gateway: Gateway, sdk: openai.AsyncOpenAI) -> None:
    gateway.serve("llama3-8b-q4", aliases=("llama3.1:8b",))

    assert [model.id for model in (await sdk.models.list()).data] == ["llama3-8b-q4", "llama3.1:8b"]
    assert (await sdk.models.retrieve("team-a/llama3.1:8b")).owned_by == "team-a"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
async def test_an_engines_refusal_is_the_sdks_exception(
    gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI, status: int, expected: type[openai.APIStatusError]
) -> None:
    engine = await engines.start(answer({"error": {"message": "no", "type": "x", "code": "because"}}, status=status))
    gateway.serve("llama", engine.address)

    with pytest.raises(expected, match="no") as caught:
        await sdk.chat.completions.create(model="llama", messages=MESSAGES)

    assert caught.value.code == "because"


async def test_the_gateways_own_refusals(gateway: Gateway, sdk: openai.AsyncOpenAI) -> None:
    gateway.serve("llama")

    with pytest.raises(openai.NotFoundError) as unknown:
        await sdk.chat.completions.create(model="nobody", messages=MESSAGES)
    with pytest.raises(openai.InternalServerError) as unready:
        await sdk.chat.completions.create(model="llama", messages=MESSAGES)
    with pytest.raises(openai.BadRequestError) as unnamed:
        await sdk.chat.completions.create(model="", messages=MESSAGES)

    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert unready.value.code == "model_not_ready"
    assert unnamed.value.param == "model"


@pytest.mark.parametrize("api", [it for it in APIS if it.is_responses and not it.events], ids=lambda api: api.name)
async def test_responses(gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI, api: Api) -> None:
    engine = await engines.start(api.good())
    gateway.serve("llama", engine.address, aliases=("gpt",), native_responses=api.native)

    response = await sdk.responses.create(model="gpt", input="Hi")

    assert (response.output_text, response.status, response.model) == ("Hello", "completed", "gpt")
    assert response.usage is not None
    assert response.usage.total_tokens == 5


@pytest.mark.parametrize("api", [it for it in STREAMED if it.is_responses], ids=lambda api: api.name)
async def test_streamed_responses(gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI, api: Api) -> None:
    engine = await engines.start(api.good())
    gateway.serve("llama", engine.address, aliases=("gpt",), native_responses=api.native)

    events = [event async for event in await sdk.responses.create(model="gpt", input="Hi", stream=True)]

    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == "Hello"
    assert events[-1].type == "response.completed"
    assert events[-1].response.model == "gpt"


@pytest.mark.parametrize(
    ("api", "fault"),
    [
        pytest.param(api, fault, id=f"{api.name}: {fault.name}")
        for api in STREAMED
        for fault in faults(api)
        if fault.status == 200 and fault.code != ANSWER and not fault.takes_time
    ],
)
async def test_every_stream_that_breaks_after_its_first_content_raises(
    gateway: Gateway, engines: EngineRoom, sdk: openai.AsyncOpenAI, api: Api, fault: Fault
) -> None:
    assert fault.script is not None
    engine = await engines.start(fault.script)
    gateway.serve("llama", engine.address, native_responses=api.native)

    with pytest.raises(openai.APIError):
        _ = [event async for event in await sdk.post(api.path.removeprefix("/v1"), **as_asked(api))]


def as_asked(api: Api) -> dict[str, Any]:
    """The SDK's own way to send any document to any of its endpoints."""
    return {"body": api.document, "cast_to": object, "stream": True, "stream_cls": openai.AsyncStream[Any]}
