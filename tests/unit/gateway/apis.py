"""Each API that ends at an engine: what is asked, what a good engine sends, and what a caller makes of a reply."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.unit.gateway.raw_caller import Seen
from tests.unit.gateway.scripted_engine import Script, answer, stream

MODEL = "llama"
TEXT = "Hello"
ANSWER = "answer"
LIE = "lie"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@dataclass(frozen=True)
class Api:
    """One API, streamed if ``events`` has something."""

    name: str
    path: str
    asked: dict[str, Any]
    whole: dict[str, Any] = field(default_factory=dict)
    """What an engine answers in one piece."""
    events: dict[str, bytes] = field(default_factory=dict)
    """What it streams, by names for the parts."""
    native: bool = False
    """The engine has the Responses API itself."""

    @property
    def document(self) -> dict[str, Any]:
        return {"model": MODEL, **self.asked, **({"stream": True} if self.events else {})}

    @property
    def is_responses(self) -> bool:
        return self.path == "/v1/responses"

    def good(self) -> Script:
        return stream(*self.events.values()) if self.events else answer(self.whole)


def sse(value: Any, name: str = "") -> bytes:
    event = f"event: {name}\n".encode() if name else b""
    return event + b"data: " + json.dumps(value).encode() + b"\n\n"


def chat_chunk(finish: str | None = None, **delta: str) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]})


def text_chunk(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return sse({"id": "c", "object": "text_completion", "created": 1, "model": MODEL, "choices": [choice]})


def response_event(kind: str, **fields: Any) -> bytes:
    return sse({"type": f"response.{kind}", **fields}, f"response.{kind}")


def response(status: str, text: str = TEXT) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    return {"id": "r", "object": "response", "status": status, "model": MODEL, "output": [message], "usage": usage}


def _completion(kind: str, **choice: Any) -> dict[str, Any]:
    choices = [{"index": 0, **choice, "finish_reason": "stop"}]
    return {"id": "c", "object": kind, "created": 1, "model": MODEL, "choices": choices, "usage": USAGE}


_MESSAGES = {"messages": [{"role": "user", "content": "Hi"}]}
_PROMPT = {"prompt": "Hi"}
_INPUT = {"input": "Hi"}
_CHAT = _completion("chat.completion", message={"role": "assistant", "content": TEXT})
_USAGE = {"usage": sse({"object": "x", "model": MODEL, "choices": [], "usage": USAGE})}
_DONE = {"done": b"data: [DONE]\n\n"}
_CHAT_EVENTS = {
    "role": chat_chunk(role="assistant", content=""),
    "content": chat_chunk(content="Hel"),
    "more": chat_chunk(content="lo"),
    "finish": chat_chunk("stop"),
    **_USAGE,
    **_DONE,
}
_TEXT_EVENTS = {
    "content": text_chunk("Hel"),
    "more": text_chunk("lo"),
    "finish": text_chunk("", "stop"),
    **_USAGE,
    **_DONE,
}
_RESPONSE_EVENTS = {
    "created": response_event("created", sequence_number=0, response=response("in_progress", "")),
    "added": response_event("output_item.added", sequence_number=1, output_index=0, item={"type": "message"}),
    "content": response_event("output_text.delta", sequence_number=2, output_index=0, delta="Hel"),
    "more": response_event("output_text.delta", sequence_number=3, output_index=0, delta="lo"),
    "finish": response_event("completed", sequence_number=4, response=response("completed")),
}
_VECTOR = {"object": "embedding", "index": 0, "embedding": [0.5]}
_EMBEDDINGS = {"object": "list", "model": MODEL, "data": [_VECTOR], "usage": {"prompt_tokens": 3, "total_tokens": 3}}

CHAT = Api("chat", "/v1/chat/completions", _MESSAGES, _CHAT)
CHAT_STREAM = Api("chat, streamed", CHAT.path, _MESSAGES, _CHAT, _CHAT_EVENTS)
APIS = (
    CHAT,
    CHAT_STREAM,
    Api("completions", "/v1/completions", _PROMPT, _completion("text_completion", text=TEXT)),
    Api("completions, streamed", "/v1/completions", _PROMPT, _completion("text_completion", text=TEXT), _TEXT_EVENTS),
    Api("embeddings", "/v1/embeddings", _INPUT, _EMBEDDINGS),
    Api("responses", "/v1/responses", _INPUT, _CHAT),
    Api("responses, streamed", "/v1/responses", _INPUT, _CHAT, _CHAT_EVENTS),
    Api("native responses", "/v1/responses", _INPUT, response("completed"), native=True),
    Api("native responses, streamed", "/v1/responses", _INPUT, response("completed"), _RESPONSE_EVENTS, native=True),
)
STREAMED = tuple(api for api in APIS if api.events)


def outcome(api: Api, seen: Seen) -> str:
    """What a caller makes of it: ANSWER, the code of an error, or LIE for less than an answer without an error."""
    if seen.status != 200:
        error = seen.json["error"]
        assert error.keys() >= {"message", "type", "param", "code"}
        assert seen.json["detail"] == error["message"]
        return str(error["code"])
    if api.events:
        return _streamed(api, seen)
    assert seen.headers["content-type"] == "application/json"
    return ANSWER if _text(seen.json) == TEXT else LIE


def _streamed(api: Api, seen: Seen) -> str:
    assert seen.headers["content-type"] == "text/event-stream"
    *blocks, end = seen.body.split(b"\n\n")
    assert end == b""
    data = [line[6:] for block in blocks for line in block.split(b"\n") if line.startswith(b"data: ")]
    if not api.is_responses and data.pop() != b"[DONE]":
        return LIE
    events = [json.loads(it) for it in data]
    errors = [event["error"]["code"] for event in events if event.get("error")]
    if errors:
        assert not any(is_end(event) for event in events)
        return str(errors[-1])
    text = "".join(map(_piece, events))
    return ANSWER if text == TEXT and any(map(is_end, events)) else LIE


def is_end(event: dict[str, Any]) -> bool:
    """Whether the event says that the answer is whole."""
    choices = event.get("choices") or [{}]
    return event.get("type") == "response.completed" or choices[0].get("finish_reason") is not None


def _piece(event: dict[str, Any]) -> str:
    if event.get("type") == "response.output_text.delta":
        return str(event["delta"])
    choice = (event.get("choices") or [{}])[0]
    return str(choice.get("text") or choice.get("delta", {}).get("content") or "")


def _text(document: dict[str, Any]) -> str:
    if document["object"] == "list":
        return TEXT if document["data"] == [_VECTOR] else ""
    if document["object"] == "response":
        return str(document["output"][0]["content"][0]["text"]) if document["status"] == "completed" else ""
    (choice,) = document["choices"]
    return str(choice["message"]["content"] if "message" in choice else choice["text"])
