"""The response object: what a request asked for, and a whole chat completion in its form."""

import time
from dataclasses import dataclass
from typing import Any

from splai.gateway.responses.chat_reply import (
    NotAnAnswer,
    Outcome,
    logprobs_of,
    object_of,
    objects_of,
    outcome,
    reasoning_of,
    response_usage,
    text_of,
)
from splai.gateway.responses.json_bytes import decode, encode
from splai.gateway.responses.output_items import (
    CallItem,
    Part,
    TextItem,
    new_call,
    new_id,
    new_message,
    new_reasoning,
)

Item = TextItem | CallItem

_DEFAULTS: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "user": None,
}
"""What is repeated from the request, and what stands there if it says nothing (Open Responses, 2026-04)."""


@dataclass(frozen=True, slots=True)
class WholeResponse:
    """A whole answer as the caller gets it."""

    body: bytes
    usage: dict[str, Any] | None
    """The tokens that it took, in chat's words, if the engine says so."""


def new_response(document: dict[str, Any]) -> dict[str, Any]:
    """The response to the request ``document`` before the engine has said anything.

    It says what is done, not what was wished: nothing is stored, nothing is truncated, reasoning is not summarized.
    """
    text = document.get("text") or {}
    reasoning = document.get("reasoning") or {}
    echo = {name: default if document.get(name) is None else document[name] for name, default in _DEFAULTS.items()}
    return {
        "id": new_id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": document.get("model"),
        "output": [],
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "service_tier": "default",
        "store": False,
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tools": [_tool(tool) for tool in document.get("tools") or []],
        "truncation": "disabled",
        "usage": None,
        **echo,
    }


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """With the keys that clients read unguarded."""
    return {"description": None, "parameters": None, "strict": None} | tool


def finished(
    response: dict[str, Any], items: list[Item], ending: Outcome, usage: dict[str, Any] | None
) -> dict[str, Any]:
    """``response`` with its output, once the answer has ended."""
    completed = ending.status == "completed"
    return {
        **response,
        "status": ending.status,
        "completed_at": int(time.time()) if completed else None,
        "incomplete_details": None if completed else {"reason": ending.reason},
        "output": [item.as_object() for item in items],
        "usage": response_usage(usage),
    }


def failed(response: dict[str, Any], items: list[Item], message: str, usage: dict[str, Any] | None) -> dict[str, Any]:
    """``response`` with as much of its output as there was when it failed."""
    return {
        **response,
        "status": "failed",
        "error": {"code": "server_error", "message": message},
        "output": [item.as_object() for item in items],
        "usage": response_usage(usage),
    }


def whole_response(document: dict[str, Any], reply: bytes) -> WholeResponse:
    """A chat completion as the response to the request ``document``; raises NotAnAnswer."""
    try:
        completion = decode(reply)
    except ValueError as error:
        raise NotAnAnswer("The reply is not JSON") from error
    completion = object_of(completion, "reply")
    choices = objects_of(completion.get("choices"), "choices")
    if not choices:
        raise NotAnAnswer("The reply has no choices")
    ending = outcome(text_of(choices[0], "finish_reason") or "error")
    if ending is None:
        raise NotAnAnswer("The engine gave up before the answer was finished")
    items = _items(choices[0], object_of(choices[0].get("message"), "message"))
    for item in items:
        item.status = "completed"
    items[-1].status = ending.status
    usage = object_of(completion.get("usage"), "usage") or None
    return WholeResponse(encode(finished(new_response(document), items, ending, usage)), usage)


def _items(choice: dict[str, Any], message: dict[str, Any]) -> list[Item]:
    """In the order in which the model made them; an answer of nothing at all is an empty message."""
    items: list[Item] = []
    if reasoning := reasoning_of(message):
        thought = new_reasoning()
        thought.parts.append(Part("reasoning_text", [reasoning]))
        items.append(thought)
    text, refusal = text_of(message, "content"), text_of(message, "refusal")
    calls = objects_of(message.get("tool_calls"), "tool_calls")
    if text or refusal or not (items or calls):
        said = new_message()
        if text or not refusal:
            said.parts.append(Part("output_text", [text], logprobs_of(choice)))
        if refusal:
            said.parts.append(Part("refusal", [refusal]))
        items.append(said)
    for call in calls:
        function = object_of(call.get("function"), "function")
        item = new_call(text_of(call, "id"), text_of(function, "name"))
        item.pieces.append(text_of(function, "arguments"))
        items.append(item)
    return items
