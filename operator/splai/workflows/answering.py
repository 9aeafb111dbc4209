"""One request on its way through a workflow.

::

    state ──▶ run ──▶ piece, piece, … ──▶ finish_reason stop ──▶ [DONE]
      │        └─ raises ──▶ a piece: "Error processing request: …" ──▶ stop ──▶ [DONE]      (whole answers: 500)
      └─ raises ───────────▶ an error event ──────────────────────────────────▶ [DONE]      (whole answers: 500)

A workflow that fails while it runs has spoken already, so a stream ends in words; before that it ends in an error, at
which SDKs raise. The words are those of the workflow's exception.
"""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from splai.api.openai_chat import ChatCompletionRequest, ChatCompletionResponse, Usage
from splai.logs import origin
from splai.workflows.conversation import state_for, text_of
from splai.workflows.registry import Registered
from splai.workflows.streaming import (
    Completion,
    create_done_chunk,
    create_error_chunk,
    create_sse_chunk,
    create_usage_chunk,
    estimated_usage,
    whole_answer,
)
from splai.workflows.workflow import State, texts

_log = logging.getLogger(__name__)


class WorkflowFailed(Exception):
    """The workflow raised an exception; the message is for the caller."""


@dataclass
class Answering:
    """A request, its workflow, and what has become of them."""

    request: ChatCompletionRequest
    registered: Registered
    completion: Completion
    _pieces: list[str] = field(init=False, default_factory=list)
    _outcome: str = field(init=False, default="cancelled")
    _began: float = field(init=False, default_factory=time.perf_counter)

    async def whole(self) -> ChatCompletionResponse:
        """Raises WorkflowFailed."""
        try:
            async with aclosing(texts(self.registered.workflow, self._state())) as pieces:
                self._pieces += [piece async for piece in pieces]
        except Exception as error:
            raise WorkflowFailed(self._failed(error)) from error
        self._outcome = "answered"
        return whole_answer(self.completion, "".join(self._pieces), self._usage())

    async def events(self) -> AsyncGenerator[str]:
        """The events of the streamed answer, each as soon as there is something to say."""
        try:
            state = self._state()
        except Exception as error:
            self._failed(error)
            yield create_error_chunk(_words(error))
            yield create_done_chunk()
            return
        try:
            async with aclosing(texts(self.registered.workflow, state)) as pieces:
                async for piece in pieces:
                    yield self._said(piece)
            self._outcome = "answered"
        except Exception as error:
            yield self._said(self._failed(error))
        yield self._chunk(finish_reason="stop")
        if (self.request.stream_options or {}).get("include_usage"):
            yield create_usage_chunk(self.completion, self._usage())
        yield create_done_chunk()

    def log(self, request_id: str) -> None:
        """The one line of a request: how it went and how much was said, never what."""
        facts = {
            "completion_id": self.completion.id,
            "request_id": request_id,
            "model": self.completion.model,
            "stream": bool(self.request.stream),
            "messages": len(self.request.messages),
            "characters": sum(map(len, self._pieces)),
            "outcome": self._outcome,
            "seconds": round(time.perf_counter() - self._began, 3),
        }
        _log.info("chat completion", extra=facts)

    def _state(self) -> State:
        return state_for(self.registered, self.request)

    def _said(self, piece: str) -> str:
        role = None if self._pieces else "assistant"
        self._pieces.append(piece)
        return self._chunk(content=piece, role=role)

    def _chunk(self, *, content: str | None = None, role: str | None = None, finish_reason: str | None = None) -> str:
        return create_sse_chunk(
            completion_id=self.completion.id,
            model=self.completion.model,
            created=self.completion.created,
            content=content,
            role=role,
            finish_reason=finish_reason,
        )

    def _failed(self, error: Exception) -> str:
        """What the caller is told; the log gets type and place, because the words may hold contents."""
        self._outcome = "failed"
        _log.error("the workflow failed", extra={"completion_id": self.completion.id, **origin(error)})
        return f"Error processing request: {_words(error)}"

    def _usage(self) -> Usage:
        prompt = "".join(text_of(message) for message in self.request.messages)
        return estimated_usage(prompt, "".join(self._pieces))


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
