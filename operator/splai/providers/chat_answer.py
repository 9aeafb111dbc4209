"""Chat completions and their chunks as OpenAI writes them: https://platform.openai.com/docs/api-reference/chat"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from splai.providers.protocol import Identity, Object

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass
class Usage:
    """Tokens, as far as the provider told them."""

    prompt: int = 0
    completion: int = 0
    cached: int | None = None
    """Of the prompt."""
    reasoning: int | None = None
    """Of the completion."""

    def to_wire(self) -> Object:
        usage: Object = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }
        if self.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached}
        if self.reasoning is not None:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.reasoning}
        return usage


def tool_call(id: str, name: str, arguments: str, **extra: Any) -> Object:  # noqa: A002 - OpenAI's own word
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **extra}


def arguments_text(value: Any) -> str:
    """A tool's arguments as OpenAI has them: a text that holds JSON."""
    return json.dumps(value, ensure_ascii=False)


def completion(
    identity: Identity, *, text: str | None, calls: Sequence[Object], finish: FinishReason, usage: Usage
) -> Object:
    """A whole answer."""
    message: Object = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["tool_calls"] = list(calls)
    return {
        "id": identity.id,
        "object": "chat.completion",
        "created": identity.created,
        "model": identity.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage.to_wire(),
    }


@dataclass
class Chunks:
    """Writes the chunks of one streamed answer; the first one tells the role."""

    identity: Identity
    include_usage: bool
    _began: bool = field(default=False, init=False)

    def text(self, text: str) -> list[Object]:
        return [self._chunk({"content": text})] if text else []

    def call(self, index: int, call: Object) -> list[Object]:
        """A tool call's beginning: id, name, and the arguments as far as they are known."""
        return [self._chunk({"tool_calls": [{"index": index, **call}]})]

    def arguments(self, index: int, fragment: str) -> list[Object]:
        """A further piece of a tool call's arguments."""
        if not fragment:
            return []
        return [self._chunk({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})]

    def finish(self, reason: FinishReason, usage: Usage) -> list[Object]:
        last = [self._chunk({}, finish=reason)]
        if self.include_usage:
            last.append({**self._envelope(), "choices": [], "usage": usage.to_wire()})
        return last

    def _chunk(self, delta: Object, finish: FinishReason | None = None) -> Object:
        if not self._began:
            self._began = True
            delta = {"role": "assistant", "content": None if "tool_calls" in delta else "", **delta}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self.include_usage else {}
        return {**self._envelope(), "choices": [choice], **usage}

    def _envelope(self) -> Object:
        return {
            "id": self.identity.id,
            "object": "chat.completion.chunk",
            "created": self.identity.created,
            "model": self.identity.model,
        }


def wants_usage(document: Object) -> bool:
    """Whether the caller asked for the usage of a streamed answer."""
    options = document.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
