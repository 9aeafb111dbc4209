"""The official client, the gateway and a workflow's own server, one behind the other: what chat programs see."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import openai
import pytest

from splai.workflows.registry import WorkflowRegistry
from splai.workflows.server import serving
from splai.workflows.workflow import GeneratorWorkflow, State
from tests.unit.gateway.conftest import Gateway
from tests.unit.gateway.until import until

ASKED: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Ada"}]}


@pytest.fixture
async def sdk(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[openai.AsyncOpenAI]:
    """With its own retries on: the gateway and the server tell it not to use them."""
    monkeypatch.setattr(WorkflowRegistry, "_workflows", {})
    async with serving(0, "127.0.0.1") as port:
        gateway.serve("desk", f"127.0.0.1:{port}", aliases=("gpt-4o-mini",), runs_once=True)
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="any", timeout=10) as sdk:
            yield sdk


def serve(generate: Any, **options: Any) -> None:
    WorkflowRegistry.register("desk", GeneratorWorkflow(generate), **options)


async def greeting(state: State) -> AsyncGenerator[str]:
    yield "Hello "
    yield state["current_user_input"]


async def texts(sdk: openai.AsyncOpenAI) -> list[str]:
    stream = await sdk.chat.completions.create(**ASKED, stream=True)
    return [chunk.choices[0].delta.content async for chunk in stream if chunk.choices[0].delta.content]


async def test_an_alias_reaches_the_workflow_and_is_the_model_of_its_answer(sdk: openai.AsyncOpenAI) -> None:
    serve(greeting)

    answer = await sdk.chat.completions.create(**ASKED)

    assert (answer.model, answer.choices[0].message.content) == ("gpt-4o-mini", "Hello Ada")
    assert await texts(sdk) == ["Hello ", "Ada"]


async def test_the_responses_api_reaches_it_too(sdk: openai.AsyncOpenAI) -> None:
    serve(greeting)

    assert (await sdk.responses.create(model="desk", input="Ada")).output_text == "Hello Ada"


async def test_a_workflow_that_fails_runs_once_and_its_words_arrive(sdk: openai.AsyncOpenAI) -> None:
    runs = []

    async def failing(state: State) -> AsyncGenerator[str]:
        runs.append(state)
        raise RuntimeError("no such ticket")
        yield ""

    serve(failing)

    with pytest.raises(openai.InternalServerError, match="Error processing request: no such ticket"):
        await sdk.chat.completions.create(**ASKED)
    assert await texts(sdk) == ["Error processing request: no such ticket"]
    assert len(runs) == 2


async def test_a_failure_before_the_run_is_a_status_because_nothing_was_said_yet(sdk: openai.AsyncOpenAI) -> None:
    tries = []

    def no_state() -> State:
        tries.append(1)
        raise RuntimeError("no such customer")

    serve(greeting, create_initial_state=no_state)

    with pytest.raises(openai.InternalServerError) as raised:
        await texts(sdk)

    assert (raised.value.status_code, raised.value.code) == (502, "engine_reported_error")
    assert len(tries) == 1


async def test_a_caller_that_leaves_the_gateway_ends_the_run(gateway: Gateway, sdk: openai.AsyncOpenAI) -> None:
    ended = asyncio.Event()

    async def endless(state: State) -> AsyncGenerator[str]:
        try:
            yield "first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    serve(endless)
    stream = await sdk.chat.completions.create(**ASKED, stream=True)
    await anext(aiter(stream))

    await stream.close()

    await asyncio.wait_for(ended.wait(), 10)
    await until(lambda: not gateway.leaked())
