"""Workflows for tests, and what a client makes of their answers."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import httpx

from splai.workflows.registry import WorkflowRegistry
from splai.workflows.workflow import GeneratorWorkflow, State

Generate = Callable[[State], AsyncGenerator[Any]]
SECRET = "the password is swordfish"


def serve(generate: Generate, model: str = "desk", **options: Any) -> None:
    WorkflowRegistry.register(model, GeneratorWorkflow(generate), **options)


async def greeting(state: State) -> AsyncGenerator[str]:
    yield "Hello "
    yield ""
    yield state["current_user_input"]


async def failing(state: State) -> AsyncGenerator[str]:
    yield "One moment. "
    raise RuntimeError("no such ticket")


async def failing_at_once(state: State) -> AsyncGenerator[str]:
    raise RuntimeError("no such ticket")
    yield ""


def chat(*texts: str, model: str = "desk", **fields: Any) -> dict[str, Any]:
    """A request whose messages are the user's and the assistant's in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    return {"model": model, "messages": messages, **fields}


def events(reply: httpx.Response) -> list[Any]:
    """The data of a stream's events, [DONE] as it is."""
    data = [event.removeprefix("data: ") for event in reply.text.split("\n\n") if event]
    return [json.loads(text) if text != "[DONE]" else text for text in data]


async def ask(http: httpx.AsyncClient, *texts: str, **fields: Any) -> httpx.Response:
    return await http.post("/v1/chat/completions", json=chat(*texts, **fields))
