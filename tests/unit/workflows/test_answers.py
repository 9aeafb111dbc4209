"""What callers get of a workflow that runs well: whole or streamed, each with the conversation that it sent."""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import openai

from splai.workflows.registry import WorkflowRegistry
from splai.workflows.workflow import State
from tests.unit.workflows.programs import ask, chat, events, greeting, serve


async def test_a_whole_answer_is_the_texts_joined(http: httpx.AsyncClient) -> None:
    serve(greeting)

    reply = (await ask(http, "Ada")).json()

    assert re.fullmatch(r"chatcmpl-[0-9a-f]{32}", reply["id"])
    assert (reply["object"], reply["model"]) == ("chat.completion", "desk")
    message = {"role": "assistant", "content": "Hello Ada"}
    assert reply["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]


async def test_a_stream_is_an_event_for_each_text_then_stop_then_done(http: httpx.AsyncClient) -> None:
    serve(greeting)

    reply = await ask(http, "Ada", stream=True)

    *chunks, done = events(reply)
    assert reply.headers["Content-Type"] == "text/event-stream"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "Hello "},
        {"content": "Ada"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert done == "[DONE]"


async def test_each_text_is_sent_as_it_comes(sdk: openai.AsyncOpenAI) -> None:
    heard = asyncio.Event()

    async def waiting(state: State) -> AsyncGenerator[str]:
        yield "first"
        await heard.wait()
        yield "second"

    serve(waiting)

    texts = []
    async for chunk in await sdk.chat.completions.create(**chat("hi", stream=True)):
        texts.append(chunk.choices[0].delta.content)
        heard.set()  # were the texts sent together, this would never be reached

    assert texts == ["first", "second", None]


async def test_usage_is_a_token_for_four_bytes(http: httpx.AsyncClient) -> None:
    serve(greeting)

    usage = (await ask(http, "Zoë!")).json()["usage"]

    assert usage == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


async def test_usage_is_streamed_to_those_who_ask_for_it(sdk: openai.AsyncOpenAI) -> None:
    serve(greeting)
    request = chat("Zoë!", stream=True, stream_options={"include_usage": True})

    *_, last = [chunk async for chunk in await sdk.chat.completions.create(**request)]

    assert last.choices == []
    assert last.usage.total_tokens == 5


async def test_the_workflow_sees_the_last_text_and_all_messages_as_they_were_sent(http: httpx.AsyncClient) -> None:
    seen: list[State] = []

    async def probe(state: State) -> AsyncGenerator[str]:
        seen.append(state)
        yield "ok"

    serve(probe, create_initial_state=lambda: {"mine": 1})
    request = chat("one", "two", "three", temperature=0.5)

    await http.post("/v1/chat/completions", json=request)

    assert seen == [{"mine": 1, "current_user_input": "three", "messages": request["messages"]}]


async def test_of_content_in_parts_the_texts_are_the_users_input(http: httpx.AsyncClient) -> None:
    serve(greeting)
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    content = [{"type": "text", "text": "Ada"}, image]
    request = {"model": "desk", "messages": [{"role": "user", "content": content}]}

    reply = await http.post("/v1/chat/completions", json=request)

    assert reply.json()["choices"][0]["message"]["content"] == "Hello Ada"


async def test_fifty_conversations_run_side_by_side_and_none_sees_another(http: httpx.AsyncClient) -> None:
    everybody = asyncio.Barrier(50)

    async def remembering(state: State) -> AsyncGenerator[str]:
        state["notes"].append(state["current_user_input"])
        await everybody.wait()  # nobody gets on before all have begun
        yield " ".join(state["notes"])

    serve(remembering, create_initial_state=lambda: {"notes": []})

    replies = await asyncio.gather(*(ask(http, f"user {number}") for number in range(50)))

    answers = [reply.json()["choices"][0]["message"]["content"] for reply in replies]
    assert answers == [f"user {number}" for number in range(50)]


async def test_anything_with_a_graphs_astream_is_served_and_its_other_chunks_are_skipped(
    http: httpx.AsyncClient,
) -> None:
    class Graph:
        async def astream(self, state: State, *, stream_mode: str) -> AsyncGenerator[Any]:
            assert stream_mode == "custom"
            yield {"progress": 1}
            yield "not for the caller"
            yield {"custom_llm_chunk": "Hi "}
            yield {"custom_llm_chunk": ""}
            yield {"custom_llm_chunk": state["current_user_input"], "progress": 2}

    WorkflowRegistry.register("desk", Graph())

    reply = (await ask(http, "Ada")).json()

    assert reply["choices"][0]["message"]["content"] == "Hi Ada"


async def test_every_registered_workflow_is_a_model(sdk: openai.AsyncOpenAI) -> None:
    serve(greeting, "desk")
    serve(greeting, "team/desk:2")

    listed = [model.id async for model in sdk.models.list()]

    assert listed == ["desk", "team/desk:2"]
    assert (await sdk.models.retrieve("team/desk:2")).owned_by == "splai"
    answer = await sdk.chat.completions.create(**chat("Ada", model="team/desk:2"))
    assert (answer.model, answer.choices[0].message.content) == ("team/desk:2", "Hello Ada")


async def test_it_is_healthy(http: httpx.AsyncClient) -> None:
    reply = await http.get("/health")

    assert (reply.status_code, reply.json()) == (200, {"status": "healthy"})
