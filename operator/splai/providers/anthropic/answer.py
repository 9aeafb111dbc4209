"""A message as a chat completion, whole or by its events.

- https://platform.claude.com/docs/en/api/messages: the content blocks, ``stop_reason`` and ``usage``
- https://platform.claude.com/docs/en/build-with-claude/streaming: the events

::

    message_start ─▶ (content_block_start ─▶ content_block_delta* ─▶ content_block_stop)* ─▶ message_delta
                  ─▶ message_stop; ping and what is new may stand anywhere; error ends it

What the model thinks, where that is shown at all, is none of its answer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from splai.providers.chat_answer import Chunks, FinishReason, Usage, arguments_text, completion, tool_call
from splai.providers.errors import RequestError, broken_answer, error_object, provider_failure
from splai.providers.protocol import Event, Identity, Object

NAME = "Anthropic"

_FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""``pause_turn`` is not among them: it is no end, and comes with tools of Anthropic's own, which nobody can ask for."""

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status of each type of error: https://platform.claude.com/docs/en/api/errors"""


def whole_answer(reply: Any, identity: Identity) -> Object:
    """Raises RequestError for what is no message, or one that is not finished."""
    if not isinstance(reply, dict) or not isinstance(reply.get("content"), list):
        raise broken_answer(NAME, "sent a reply that is no message")
    blocks = [block for block in reply["content"] if isinstance(block, dict)]
    text = "".join(block.get("text", "") for block in blocks if block.get("type") == "text")
    calls = [
        tool_call(block.get("id", ""), block.get("name", ""), arguments_text(block.get("input") or {}))
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    usage = Usage()
    _count(usage, reply.get("usage"))
    named = Identity(reply.get("id") or identity.id, identity.created, identity.model)
    finish = _finish_reason(reply.get("stop_reason"))
    return completion(named, text=text if text or not calls else None, calls=calls, finish=finish, usage=usage)


@dataclass
class _Block:
    """A content block that is on its way; ``call`` is the index of its tool call, if it is one."""

    call: int | None = None
    has_arguments: bool = False


@dataclass
class MessageStream:
    """The events of one message."""

    identity: Identity
    include_usage: bool
    done: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._chunks = Chunks(self.identity, self.include_usage)
        self._usage = Usage()
        self._blocks: dict[Any, _Block] = {}
        self._calls = 0
        self._stop_reason: Any = None

    def feed(self, event: Event) -> list[Object]:
        """Chunks for the caller; events of new types are passed over, as the API's versioning asks for."""
        try:
            data = json.loads(event.data)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise broken_answer(NAME, "sent an event that is no JSON object")
        match data.get("type"):
            case "message_start":
                self._begin(_object(data, "message"))
            case "content_block_start":
                return self._block_began(data.get("index"), _object(data, "content_block"))
            case "content_block_delta":
                return self._block_grew(data.get("index"), _object(data, "delta"))
            case "content_block_stop":
                return self._block_ended(data.get("index"))
            case "message_delta":
                self._stop_reason = _object(data, "delta").get("stop_reason") or self._stop_reason
                _count(self._usage, data.get("usage"))
            case "message_stop":
                self.done = True
            case "error":
                raise _reported(data)
        return []

    def end(self) -> list[Object]:
        if not self.done:
            raise broken_answer(NAME, "ended the stream before the answer was finished")
        return self._chunks.finish(_finish_reason(self._stop_reason), self._usage)

    def _begin(self, message: Object) -> None:
        named = Identity(message.get("id") or self.identity.id, self.identity.created, self.identity.model)
        self._chunks = Chunks(named, self.include_usage)
        _count(self._usage, message.get("usage"))

    def _block_began(self, index: Any, block: Object) -> list[Object]:
        if block.get("type") == "tool_use":
            call, self._calls = self._calls, self._calls + 1
            self._blocks[index] = _Block(call)
            return self._chunks.call(call, tool_call(block.get("id", ""), block.get("name", ""), ""))
        self._blocks[index] = _Block()
        return self._chunks.text(block.get("text") or "") if block.get("type") == "text" else []

    def _block_grew(self, index: Any, delta: Object) -> list[Object]:
        block = self._blocks.get(index, _Block())
        if delta.get("type") == "text_delta":
            return self._chunks.text(delta.get("text") or "")
        if delta.get("type") == "input_json_delta" and block.call is not None:
            fragment = delta.get("partial_json") or ""
            block.has_arguments |= bool(fragment)
            return self._chunks.arguments(block.call, fragment)
        return []

    def _block_ended(self, index: Any) -> list[Object]:
        """A tool without arguments gets no fragment at all; OpenAI's clients read JSON all the same."""
        block = self._blocks.pop(index, _Block())
        if block.call is None or block.has_arguments:
            return []
        return self._chunks.arguments(block.call, "{}")


def _reported(data: Object) -> RequestError:
    """An error in the stream has the type, and no status."""
    error = error_object(data)
    kind = error.get("type")
    return provider_failure(NAME, _STATUS.get(str(kind), 500), error.get("message"), code=kind)


def _finish_reason(reason: Any) -> FinishReason:
    if reason not in _FINISH:
        raise broken_answer(NAME, "ended the message for a reason that is no end of an answer")
    return _FINISH[reason]


def _count(usage: Usage, counts: Any) -> None:
    """Take over what is told; counts are cumulative, and tokens that were cached are not among ``input_tokens``."""
    if not isinstance(counts, dict):
        return
    if isinstance(counts.get("input_tokens"), int):
        cached = counts.get("cache_read_input_tokens") or 0
        usage.prompt = counts["input_tokens"] + cached + (counts.get("cache_creation_input_tokens") or 0)
        usage.cached = cached
    if isinstance(counts.get("output_tokens"), int):
        usage.completion = counts["output_tokens"]


def _object(data: Object, name: str) -> Object:
    value = data.get(name)
    return value if isinstance(value, dict) else {}
