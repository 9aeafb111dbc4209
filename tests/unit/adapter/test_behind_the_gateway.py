"""Caller, gateway, adapter, provider: what the ends see of each other."""

import json
from typing import Any

import openai
import pytest

from tests.unit.adapter.conftest import MODEL, Site, StartSite
from tests.unit.adapter.fake_providers import ANTHROPIC, FAKES, KEY, TEXT, Fake
from tests.unit.adapter.test_conversation import QUESTION, TOOLS, assembled
from tests.unit.gateway.conftest import Gateway, running_gateway
from tests.unit.gateway.scripted_engine import answer

EVERY_PROVIDER = pytest.mark.parametrize("fake", FAKES.values(), ids=FAKES.keys())


def address(site: Site) -> str:
    return site.url.removeprefix("http://")


def caller(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="of-the-caller", max_retries=0)


@EVERY_PROVIDER
async def test_a_stream_passes_both(hold: StartSite, fake: Fake) -> None:
    async with hold(fake) as site, running_gateway() as gateway, caller(gateway) as sdk:
        gateway.serve(MODEL, address(site), aliases=("gpt-4-mini",))
        stream = await sdk.chat.completions.create(model="gpt-4-mini", messages=QUESTION, tools=TOOLS, stream=True)
        chunks = [chunk async for chunk in stream]

    told = assembled(chunks)
    assert (told["text"], told["finishes"], told["calls"][0]["name"]) == (TEXT, ["tool_calls"], "get_weather")
    assert {chunk.model for chunk in chunks} == {"gpt-4-mini"}


@EVERY_PROVIDER
async def test_a_provider_that_is_killed_after_its_first_words_gives_an_error_and_no_end(
    hold: StartSite, fake: Fake
) -> None:
    seen: list[Any] = []

    async def read(sdk: openai.AsyncOpenAI) -> None:
        async for chunk in await sdk.chat.completions.create(model=MODEL, messages=QUESTION, tools=TOOLS, stream=True):
            seen.extend(chunk.choices)

    before_the_end = len(fake.events(False)) - 1
    async with hold(fake, cut_after=before_the_end) as site, running_gateway() as gateway, caller(gateway) as sdk:
        gateway.serve(MODEL, address(site))
        with pytest.raises(openai.APIError, match="before the answer was finished"):
            await read(sdk)

    assert "".join(choice.delta.content or "" for choice in seen) == TEXT
    assert not any(choice.finish_reason for choice in seen)


@EVERY_PROVIDER
async def test_a_key_that_the_provider_refuses_is_not_the_callers(hold: StartSite, fake: Fake) -> None:
    """Nor is it theirs to read, though the provider quotes it; they hear of it until it is corrected, and no longer."""
    async with hold(fake) as site, running_gateway() as gateway, caller(gateway) as sdk:
        gateway.serve(MODEL, address(site))
        site.key_file.write_text("sk-mistyped")
        for _ in range(10):
            with pytest.raises(openai.InternalServerError, match="apiKeySecretRef") as caught:
                await sdk.chat.completions.create(model=MODEL, messages=QUESTION, tools=TOOLS)
            assert caught.value.status_code == 502
            assert "sk-mistyped" not in str(caught.value)
        assert len(site.provider.received) == 10

        site.key_file.write_text(KEY)
        answered = await sdk.chat.completions.create(model=MODEL, messages=QUESTION, tools=TOOLS)

    assert answered.choices[0].message.content == TEXT


async def test_an_overloaded_provider_is_passed_over(hold: StartSite, start: StartSite) -> None:
    """An error as the first event comes before any answer, so that another backend can give it."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    async def script(request: Any, connection: Any) -> None:
        await answer(b"data: " + json.dumps(overloaded).encode() + b"\n\n")(request, connection)

    async with (
        start(script, "Anthropic") as first,
        hold(ANTHROPIC) as second,
        running_gateway() as gateway,
        caller(gateway) as sdk,
    ):
        gateway.serve(MODEL, address(first), address(second))
        for _ in range(4):  # whichever of the two is asked first
            stream = await sdk.chat.completions.create(model=MODEL, messages=QUESTION, tools=TOOLS, stream=True)
            assert assembled([chunk async for chunk in stream])["text"] == TEXT

    assert first.provider.received
