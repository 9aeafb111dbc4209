"""Answers in OpenAI's form: the chunks of a stream, the whole, and errors.

A chunk is one server-sent event: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
import uuid
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

from splai.api.json import compact_text
from splai.api.openai_chat import (
    ChatCompletionChoice,
    ChatCompletionResponse,
    ChatMessage,
    ErrorObject,
    OpenAIError,
    Usage,
)

_BYTES_A_TOKEN: Final = 4


@dataclass(frozen=True)
class Completion:
    """What all chunks of one answer repeat."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    """Unix seconds."""


def create_sse_chunk(
    *,
    completion_id: str,
    model: str,
    created: int,
    content: str | None = None,
    role: str | None = None,
    finish_reason: str | None = None,
) -> str:
    """A piece of the answer, or its end."""
    delta = {name: value for name, value in (("role", role), ("content", content)) if value is not None}
    return _chunk(
        Completion(model, completion_id, created),
        choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    )


def create_usage_chunk(completion: Completion, usage: Usage) -> str:
    """What a caller gets who asked for ``stream_options.include_usage``."""
    return _chunk(completion, choices=[], usage=usage.model_dump())


def create_error_chunk(message: str) -> str:
    """At this event SDKs raise."""
    return _event(compact_text(openai_error(message, type="server_error").model_dump()))


def create_done_chunk() -> str:
    """The last event of every stream."""
    return _event("[DONE]")


def whole_answer(completion: Completion, text: str, usage: Usage) -> ChatCompletionResponse:
    """The answer of a request that does not stream."""
    message = ChatMessage(role="assistant", content=text)
    return ChatCompletionResponse(
        id=completion.id,
        object="chat.completion",
        created=completion.created,
        model=completion.model,
        choices=[ChatCompletionChoice(index=0, message=message, finish_reason="stop")],
        usage=usage,
    )


def openai_error(
    message: str,
    *,
    type: str = "invalid_request_error",  # noqa: A002 - OpenAI's own word
    param: str | None = None,
    code: str | None = None,
) -> OpenAIError:
    """All four keys, because SDKs read them unguarded; ``detail`` for clients written against FastAPI servers."""
    return OpenAIError(error=ErrorObject(message=message, type=type, param=param, code=code), detail=message)


def estimated_usage(prompt: str, answer: str) -> Usage:
    """A token for each four bytes of UTF-8: a workflow has no tokenizer, and may have asked several models or none."""
    spent, made = _tokens(prompt), _tokens(answer)
    return Usage(prompt_tokens=spent, completion_tokens=made, total_tokens=spent + made)


def _tokens(text: str) -> int:
    return ceil(len(text.encode(errors="replace")) / _BYTES_A_TOKEN)


def _chunk(completion: Completion, **fields: Any) -> str:
    head = {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
    }
    return _event(compact_text(head | fields))


def _event(data: str) -> str:
    return f"data: {data}\n\n"
