"""An engine's stream of chat chunks as the event stream of the Responses API.

::

    chunk without content ─▶ nothing is given out: another engine may still answer
    first content ─────────▶ response.created, response.in_progress, then the output as it grows
    [DONE] or end, after a finish_reason ─▶ the output closes, response.completed or response.incomplete
    an engine's error, garbage, an end without a finish_reason, "abort" ─▶ response.failed, then `error`

Unlike chat's, these streams have no [DONE].
"""

from typing import Any

from splai.gateway.errors import GIVEN_UP_STREAM, UNFINISHED_STREAM, completed_error_body
from splai.gateway.inference.sse import DONE, EventSplitter
from splai.gateway.responses.chat_reply import (
    NotAnAnswer,
    Outcome,
    logprobs_of,
    object_of,
    objects_of,
    outcome,
    reasoning_of,
    text_of,
)
from splai.gateway.responses.event_data import event_data, event_name
from splai.gateway.responses.event_writer import EventWriter
from splai.gateway.responses.json_bytes import decode
from splai.gateway.responses.output_writer import OutputWriter
from splai.gateway.responses.response_object import failed, finished, new_response

_GARBAGE = "The engine's stream is not one of chat completions"


class ResponseStream:
    """One streamed answer to the Responses request ``document``; no I/O."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._response = new_response(document)
        self._splitter = EventSplitter()
        self._events = EventWriter()
        self._output = OutputWriter(self._events)
        self._logprobs: list[dict[str, Any]] = []
        self._begun = False
        self._ending: Outcome | None = None
        self._broken: tuple[str, str] | None = None
        self.done = False
        """The end was given out: nothing may follow."""
        self.was_cut = False
        """The engine left the answer unfinished and did not say why."""
        self.committed = False
        """Content was given out; until then another engine may answer instead."""
        self.error: bytes | None = None
        """The event in which the engine itself reported that it failed."""
        self.usage: dict[str, Any] | None = None
        """The tokens of the answer, in chat's words, once the engine told them."""

    def feed(self, data: bytes) -> bytes:
        """Whole events for the caller, or nothing yet; raises EventTooLarge."""
        if self.done or self._broken:
            return b""
        for event in self._splitter.feed(data):
            self._read(event)
            if self.done or self._broken:
                break
        if self._broken and self.committed:
            self._fail(*self._broken)
        return self._events.taken()

    def end(self, failure: str | None = None) -> bytes:
        """The last bytes for the caller; ``failure`` says what broke the engine's stream, None that it ended itself."""
        if self.done:
            return b""
        if failure is None and not self._broken:
            self._read_rest(self._splitter.end())
        if not self.done and not self._broken:
            self._conclude(failure or UNFINISHED_STREAM)
        if self._broken:
            self._fail(*self._broken)
        return self._events.taken()

    def _read_rest(self, event: bytes) -> None:
        """An event that lacks only its empty line, if it can be trusted to be complete."""
        data = event_data(event)
        if not data.startswith(DONE[6:]):
            try:
                decode(data)
            except ValueError:
                return
        self._read(event)

    def _read(self, event: bytes) -> None:
        data = event_data(event)
        if not data:
            return
        if data.startswith(DONE[6:]):
            self._conclude(UNFINISHED_STREAM)
            return
        try:
            chunk = decode(data)
            if not isinstance(chunk, dict):
                raise NotAnAnswer("A chunk is not an object")  # noqa: TRY301 - one answer to all kinds of garbage
            if chunk.get("error") or chunk.get("object") == "error" or event_name(event) == "error":
                self._report(event, data)
                return
            self._read_chunk(chunk)
        except (ValueError, NotAnAnswer):
            self._cut(_GARBAGE)

    def _conclude(self, failure: str) -> None:
        """Nothing more will come: the answer is complete if the engine said so, else it was cut by ``failure``."""
        if self._ending is not None:
            self._complete(self._ending)
        else:
            self._cut(failure)

    def _report(self, event: bytes, data: bytes) -> None:
        self.error = event
        error = decode(completed_error_body(500, data))["error"]
        self._broken = (error["message"], error["code"] or "engine_reported_error")

    def _cut(self, message: str) -> None:
        self.was_cut = True
        self._broken = (message, "stream_interrupted")

    def _read_chunk(self, chunk: dict[str, Any]) -> None:
        usage = chunk.get("usage")
        if usage is not None:
            self.usage = object_of(usage, "usage")
        for choice in objects_of(chunk.get("choices"), "choices"):
            if not choice.get("index"):
                self._read_choice(choice)

    def _read_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if delta:
            self._read_delta(object_of(delta, "delta"), choice)
        if reason := text_of(choice, "finish_reason"):
            self._ending = outcome(reason)
            if self._ending is None:
                self._cut(GIVEN_UP_STREAM)

    def _read_delta(self, delta: dict[str, Any], choice: dict[str, Any]) -> None:
        if reasoning := reasoning_of(delta):
            self._commit()
            self._output.add_text("reasoning_text", reasoning, [])
        if choice.get("logprobs") is not None and not (reasoning or delta.get("tool_calls")):
            self._logprobs += logprobs_of(choice)  # a token may be half a character: its text comes with the next
        if text := text_of(delta, "content"):
            self._commit()
            self._output.add_text("output_text", text, self._logprobs)
            self._logprobs = []
        if refusal := text_of(delta, "refusal"):
            self._commit()
            self._output.add_text("refusal", refusal, [])
        for call in objects_of(delta.get("tool_calls"), "tool_calls"):
            self._read_call(call)

    def _read_call(self, call: dict[str, Any]) -> None:
        function = object_of(call.get("function"), "function")
        index = call.get("index") or 0
        if not isinstance(index, int):
            raise NotAnAnswer("`index` is not an integer")
        call_id, name = text_of(call, "id"), text_of(function, "name")
        self._commit()
        self._output.add_call(index, call_id, name, text_of(function, "arguments"))

    def _commit(self) -> None:
        if not self.committed:
            self.committed = True
            self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._events.write("response.created", response=self._response)
            self._events.write("response.in_progress", response=self._response)

    def _complete(self, ending: Outcome) -> None:
        self._commit()  # an answer of nothing at all begins with its end
        self._output.close(ending.status)
        response = finished(self._response, self._output.items, ending, self.usage)
        self._events.write(f"response.{ending.status}", response=response)
        self.done = True

    def _fail(self, message: str, code: str) -> None:
        self._begin()
        self._output.abandon()
        response = failed(self._response, self._output.items, message, self.usage)
        self._events.write("response.failed", response=response)
        self._events.write_error(message, code)
        self.done = True
