"""What callers, logs and the workflow itself get of it when something goes wrong, or when a caller leaves."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import openai
import pytest

from splai.workflows.workflow import State
from tests.unit.workflows.programs import SECRET, ask, chat, events, failing, failing_at_once, greeting, serve

FAILED = "Error processing request: no such ticket"


def no_state() -> State:
    raise RuntimeError("no such customer")


@pytest.mark.parametrize(
    ("program", "texts"),
    [(failing, ["One moment. ", FAILED]), (failing_at_once, [FAILED])],
    ids=["after a text", "at once"],
)
async def test_a_stream_whose_workflow_fails_says_so_and_ends_as_others_do(
    http: httpx.AsyncClient, program: Any, texts: list[str]
) -> None:
    serve(program)

    reply = await ask(http, "hi", stream=True)

    *chunks, stop, done = events(reply)
    assert reply.status_code == 200
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == texts
    assert stop["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert done == "[DONE]"


async def test_a_whole_answer_whose_workflow_fails_is_a_500_that_sdks_do_not_try_again(
    sdk: openai.AsyncOpenAI,
) -> None:
    runs = []

    async def counted(state: State) -> AsyncGenerator[str]:
        runs.append(state)
        raise RuntimeError("no such ticket")
        yield ""

    serve(counted)

    with pytest.raises(openai.InternalServerError) as raised:
        await sdk.chat.completions.create(**chat("hi"))

    assert raised.value.response.json() == {
        "error": {"message": FAILED, "type": "server_error", "param": None, "code": None},
        "detail": FAILED,
    }
    assert len(runs) == 1


async def test_a_failure_before_the_run_is_an_error_event_without_a_stop(http: httpx.AsyncClient) -> None:
    serve(greeting, create_initial_state=no_state)

    error, done = events(await ask(http, "hi", stream=True))

    assert error["error"] == {"message": "no such customer", "type": "server_error", "param": None, "code": None}
    assert done == "[DONE]"


async def test_at_that_event_the_sdk_raises(sdk: openai.AsyncOpenAI) -> None:
    serve(greeting, create_initial_state=no_state)

    with pytest.raises(openai.APIError, match="no such customer"):
        [chunk async for chunk in await sdk.chat.completions.create(**chat("hi", stream=True))]


async def test_a_failure_before_the_run_of_a_whole_answer_is_a_500(http: httpx.AsyncClient) -> None:
    serve(greeting, create_initial_state=no_state)

    reply = await ask(http, "hi")

    assert (reply.status_code, reply.json()["detail"]) == (500, "Error processing request: no such customer")


async def test_a_text_that_is_none_is_a_failure_of_the_workflow(http: httpx.AsyncClient) -> None:
    async def counting(state: State) -> AsyncGenerator[Any]:
        yield {"custom_llm_chunk": 42}

    serve(counting)

    reply = await ask(http, "hi")

    assert reply.json()["detail"] == "Error processing request: custom_llm_chunk must hold a text, not int"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_unknown_model_is_not_found(http: httpx.AsyncClient, stream: bool) -> None:
    reply = await ask(http, "hi", model="nobody", stream=stream)

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"model": "desk"}', "messages"),
        (b'{"model": "desk", "messages": []}', "messages"),
        (b'{"model": "desk", "messages": [{"content": "hi"}]}', "messages.0.role"),
    ],
    ids=["no JSON", "no UTF-8", "too deep", "no messages", "an empty list", "no role"],
)
async def test_a_request_that_is_none_is_refused_by_the_name_of_its_field(
    http: httpx.AsyncClient, body: bytes, param: str | None
) -> None:
    reply = await http.post("/v1/chat/completions", content=body)

    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/chat/completions", 404),
        ("POST", "/v1/embeddings", 404),
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/models/nobody", 404),
    ],
)
async def test_what_is_not_there_is_refused_in_the_same_shape(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await http.request(method, path)

    document = reply.json()
    assert reply.status_code == status
    assert document["error"].keys() == {"message", "type", "param", "code"}
    assert document["detail"] == document["error"]["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_caller_that_leaves_ends_the_run(http: httpx.AsyncClient, stream: bool) -> None:
    running, ended = asyncio.Event(), asyncio.Event()

    async def endless(state: State) -> AsyncGenerator[str]:
        try:
            yield "first"
            running.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    serve(endless)
    call = asyncio.create_task(ask(http, "hi", stream=stream))
    await asyncio.wait_for(running.wait(), 10)

    call.cancel()  # which closes the connection

    await asyncio.wait_for(ended.wait(), 10)


async def test_a_log_line_says_how_it_went_but_never_what_was_said(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def telling(state: State) -> AsyncGenerator[str]:
        yield SECRET
        raise RuntimeError(SECRET)

    serve(telling)
    caplog.set_level(logging.DEBUG, logger="splai")

    await http.post("/v1/chat/completions", json=chat(SECRET, stream=True), headers={"X-Request-Id": "r-1"})

    lines = [vars(record) for record in caplog.records if record.name.startswith("splai")]
    failure, request = lines
    assert (request["request_id"], request["outcome"], request["messages"]) == ("r-1", "failed", 1)
    assert request["completion_id"] == failure["completion_id"]
    assert "telling" in failure["traceback"]
    assert "swordfish" not in json.dumps(lines, default=str)
