"""What an engine that speaks chat sends, and what a caller of the Responses API reads."""

import json
from typing import Any, get_args

from openai.types.responses import ResponseStreamEvent

MODELS: dict[str, Any] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(ResponseStreamEvent)[0])
}
DONE = b"data: [DONE]\n\n"


def chunk(finish_reason: str | None = None, *, index: int = 0, logprobs: Any = None, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
    return data({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def data(value: Any) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def call(index: int, arguments: str, **named: str) -> dict[str, Any]:
    """A piece of a tool call; its ``id`` and ``name`` stand in the first only."""
    function = {"arguments": arguments} | ({"name": named["name"]} if "name" in named else {})
    return {"index": index, "function": function} | ({"id": named["id"], "type": "function"} if "id" in named else {})


ROLE = chunk(role="assistant", content="")
USAGE = data(
    {
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
)


def read_events(stream: bytes) -> list[dict[str, Any]]:
    """The events as a strict client reads them: valid for the SDK's types, named as their data, numbered from 0."""
    assert stream.endswith(b"\n\n") or not stream
    events = []
    for number, block in enumerate(stream.split(b"\n\n")[:-1]):
        name, _, line = block.partition(b"\n")
        event = json.loads(line.removeprefix(b"data: "))
        assert name == b"event: " + event["type"].encode()
        assert event["sequence_number"] == number
        MODELS[event["type"]].model_validate(event)
        events.append(event)
    return events


def kinds(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in read_events(stream)]
