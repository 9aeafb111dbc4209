"""A GenerateContentResponse as a chat completion, whole or streamed: https://ai.google.dev/api/generate-content

A stream has no event that says that it was the last one: an answer is whole when a candidate had a ``finishReason`` and
the reply then ended as HTTP says that it ends. Function calls come whole, each in one part.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from splai.providers.chat_answer import Chunks, FinishReason, Usage, arguments_text, completion, tool_call
from splai.providers.errors import RequestError, broken_answer, error_object, provider_failure
from splai.providers.protocol import Event, Identity, Object

NAME = "Gemini"

_FILTERED = frozenset(
    {
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
"""The other reasons, such as MALFORMED_FUNCTION_CALL and OTHER, end no answer: they are failures."""


def whole_answer(reply: Any, identity: Identity) -> Object:
    """Raises RequestError for what is no answer, or a prompt that was blocked."""
    answer = ContentStream(identity, include_usage=True)
    texts: list[str] = []
    calls: list[Object] = []
    for part in answer.read(reply):
        if isinstance(part, str):
            texts.append(part)
        else:
            calls.append(part)
    finish = answer.finish_reason()
    text = "".join(texts)
    return completion(
        answer.identity, text=text if text or not calls else None, calls=calls, finish=finish, usage=answer.usage
    )


@dataclass
class ContentStream:
    """The responses of one stream."""

    identity: Identity
    include_usage: bool
    usage: Usage = field(default_factory=Usage, init=False)
    done: bool = field(default=False, init=False)
    """Never True: the end of the reply is the end."""

    def __post_init__(self) -> None:
        self._chunks: Chunks | None = None
        self._calls = 0
        self._calls_given = 0
        self._finish: str | None = None

    def feed(self, event: Event) -> list[Object]:
        try:
            data = json.loads(event.data)
        except (ValueError, RecursionError):
            data = None
        parts = self.read(data)
        if self._chunks is None:
            self._chunks = Chunks(self.identity, self.include_usage)
        chunks: list[Object] = []
        for part in parts:
            if isinstance(part, str):
                chunks += self._chunks.text(part)
            else:
                chunks += self._chunks.call(self._calls_given, part)
                self._calls_given += 1
        return chunks

    def end(self) -> list[Object]:
        chunks = self._chunks or Chunks(self.identity, self.include_usage)
        return chunks.finish(self.finish_reason(), self.usage)

    def read(self, response: Any) -> list[str | Object]:
        """The texts and tool calls of one response; raises RequestError for what is none."""
        if not isinstance(response, dict):
            raise broken_answer(NAME, "sent a reply that is no JSON object")
        if error := error_object(response):
            code = error.get("code")
            raise provider_failure(NAME, code if isinstance(code, int) else 500, error.get("message"))
        self.identity = Identity(
            response.get("responseId") or self.identity.id, self.identity.created, self.identity.model
        )
        _count(self.usage, response.get("usageMetadata"))
        candidates = response.get("candidates") or []
        if not candidates:
            _check_prompt(response)
            return []
        candidate = candidates[0] if isinstance(candidates[0], dict) else {}
        self._finish = candidate.get("finishReason") or self._finish
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        return [said for part in parts or () if (said := self._said(part)) is not None]

    def finish_reason(self) -> FinishReason:
        """Raises RequestError while the answer is not whole."""
        if self._finish is None:
            raise broken_answer(NAME, "ended the stream before the answer was finished")
        if self._finish == "STOP":
            return "tool_calls" if self._calls else "stop"
        if self._finish == "MAX_TOKENS":
            return "length"
        if self._finish in _FILTERED:
            return "content_filter"
        raise broken_answer(NAME, f"gave up the answer: {self._finish}")

    def _said(self, part: Any) -> str | Object | None:
        """A text, a tool call, or None for what is no part of the answer, such as thoughts."""
        if not isinstance(part, dict) or part.get("thought"):
            return None
        call = part.get("functionCall")
        if not isinstance(call, dict):
            return part.get("text") or None
        self._calls += 1
        signature = part.get("thoughtSignature")
        extra = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
        # Only newer models name their calls; within a conversation the number and the answer's id are unique.
        id_ = call.get("id") or f"call_{self.identity.id}_{self._calls}"
        return tool_call(id_, call.get("name", ""), arguments_text(call.get("args") or {}), **extra)


def _check_prompt(response: Object) -> None:
    feedback = response.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if reason:
        raise RequestError(400, f"{NAME} blocks the prompt: {reason}", param="messages", code="content_filter")


def _count(usage: Usage, counts: Any) -> None:
    """Each response tells all so far; thoughts are paid as output."""
    if not isinstance(counts, dict):
        return
    thoughts = counts.get("thoughtsTokenCount")
    usage.prompt = counts.get("promptTokenCount") or usage.prompt
    usage.completion = (counts.get("candidatesTokenCount") or 0) + (thoughts or 0)
    usage.cached = counts.get("cachedContentTokenCount", usage.cached)
    usage.reasoning = thoughts if thoughts is not None else usage.reasoning
