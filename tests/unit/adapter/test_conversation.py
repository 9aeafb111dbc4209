"""The same conversation with tools, over every provider's wire format, held by OpenAI's own client."""

import json
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.unit.adapter.conftest import MODEL, Site, StartSite
from tests.unit.adapter.fake_providers import (
    CITY,
    FAKES,
    FINAL,
    FIRST_USAGE,
    RESULT,
    SECOND_USAGE,
    TEXT,
    Fake,
)

EVERY_PROVIDER = pytest.mark.parametrize("fake", FAKES.values(), ids=FAKES.keys())
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "get_weather", "description": "Now.", "parameters": SCHEMA}}
]
QUESTION: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Lima?"}]


async def streamed(site: Site, messages: list[Any]) -> list[ChatCompletionChunk]:
    async with site.sdk() as sdk:
        stream = await sdk.chat.completions.create(
            model=MODEL, messages=messages, tools=TOOLS, stream=True, stream_options={"include_usage": True}
        )
        return [chunk async for chunk in stream]


def assembled(chunks: list[ChatCompletionChunk]) -> dict[str, Any]:
    """The message, as a client puts it together from its pieces."""
    calls: dict[int, dict[str, Any]] = {}
    text, finishes, roles = "", [], []
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        text += choice.delta.content or ""
        roles += [choice.delta.role] if choice.delta.role else []
        finishes += [choice.finish_reason] if choice.finish_reason else []
        for piece in choice.delta.tool_calls or ():
            call = calls.setdefault(piece.index, {"id": "", "type": "function", "name": "", "arguments": ""})
            call["id"] += piece.id or ""
            call["extra_content"] = getattr(piece, "extra_content", None) or call.get("extra_content")
            assert piece.function is not None
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
    return {"text": text, "roles": roles, "finishes": finishes, "calls": list(calls.values())}


def usage_of(chunks: list[ChatCompletionChunk]) -> tuple[int, int]:
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    return usage.prompt_tokens, usage.completion_tokens


def history(message: dict[str, Any]) -> list[Any]:
    """What a client sends once it has run the tool."""
    (call,) = message["calls"]
    function = {"name": call["name"], "arguments": call["arguments"]}
    extra = {"extra_content": call["extra_content"]} if call["extra_content"] else {}
    called = {"id": call["id"], "type": "function", "function": function, **extra}
    return [
        *QUESTION,
        {"role": "assistant", "content": message["text"], "tool_calls": [called]},
        {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(RESULT)},
    ]


@EVERY_PROVIDER
async def test_a_streamed_conversation_with_a_tool_is_the_same_over_every_format(hold: StartSite, fake: Fake) -> None:
    async with hold(fake) as site:
        first = await streamed(site, QUESTION)
        called = assembled(first)
        second = await streamed(site, history(called))

    (call,) = called["calls"]
    assert (called["text"], called["roles"], called["finishes"]) == (TEXT, ["assistant"], ["tool_calls"])
    assert (call["name"], json.loads(call["arguments"]), usage_of(first)) == ("get_weather", CITY, FIRST_USAGE)
    told = assembled(second)
    assert told == {"text": "".join(FINAL), "roles": ["assistant"], "finishes": ["stop"], "calls": []}
    assert usage_of(second) == SECOND_USAGE


@EVERY_PROVIDER
async def test_the_same_conversation_in_whole_answers(hold: StartSite, fake: Fake) -> None:
    async with hold(fake) as site, site.sdk() as sdk:
        first = await sdk.chat.completions.create(model=MODEL, messages=QUESTION, tools=TOOLS)
        message = first.choices[0].message
        assert message.tool_calls is not None
        result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": json.dumps(RESULT)}
        messages: list[Any] = [*QUESTION, message, result]
        second = await sdk.chat.completions.create(model="weather-alias", messages=messages, tools=TOOLS)

    (call,) = message.tool_calls
    assert call.type == "function"
    assert (message.content, call.function.name) == (TEXT, "get_weather")
    assert (json.loads(call.function.arguments), first.choices[0].finish_reason) == (CITY, "tool_calls")
    assert first.usage is not None
    assert (first.usage.prompt_tokens, first.usage.completion_tokens) == FIRST_USAGE
    assert (second.choices[0].message.content, second.choices[0].finish_reason) == ("".join(FINAL), "stop")


@EVERY_PROVIDER
async def test_texts_arrive_before_the_provider_has_finished(hold: StartSite, fake: Fake) -> None:
    async with hold(fake) as site, site.sdk() as sdk:
        stream = await sdk.chat.completions.create(model=MODEL, messages=QUESTION, tools=TOOLS, stream=True)
        chunks = [chunk async for chunk in stream]

    assert all(chunk.choices for chunk in chunks), "without stream_options nobody expects an event without choices"
    assert all(chunk.usage is None for chunk in chunks)


def cuts() -> list[Any]:
    """Every fake, at every event of both turns of the conversation."""
    return [
        pytest.param(fake, second, number, id=f"{name}-{'second' if second else 'first'}-{number}")
        for name, fake in FAKES.items()
        for second in (False, True)
        for number in range(len(fake.events(second)))
    ]


@pytest.mark.parametrize(("fake", "second", "number"), cuts())
async def test_a_provider_that_is_killed_before_any_event_gives_an_error_and_no_end(
    hold: StartSite, fake: Fake, second: bool, number: int
) -> None:
    call = {"id": "toolu_1", "name": "get_weather", "arguments": json.dumps(CITY)}
    signed = {"extra_content": {"google": {"thought_signature": "c2lnbmVk"}}}
    messages = history({"text": TEXT, "calls": [{**call, **signed}]}) if second else QUESTION
    finishes: list[str] = []

    async def read(sdk: openai.AsyncOpenAI) -> None:
        stream = await sdk.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS, stream=True)
        async for chunk in stream:
            finishes.extend(choice.finish_reason for choice in chunk.choices if choice.finish_reason)

    async with hold(fake, cut_after=number) as site, site.sdk() as sdk:
        with pytest.raises(openai.APIError, match="before the answer was finished"):
            await read(sdk)

    assert finishes == []


async def test_a_whole_answer_that_breaks_off_is_an_error(start: StartSite) -> None:
    async def half(_: Any, connection: Any) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b'{"id": ')
        connection.reset()

    async with start(half) as site, site.sdk() as sdk:
        with pytest.raises(openai.InternalServerError, match="broke off") as caught:
            await sdk.chat.completions.create(model=MODEL, messages=QUESTION)

    assert (caught.value.status_code, caught.value.code) == (502, "stream_interrupted")
