"""A streamed answer on its way from the engine to the caller: what is changed, what is left out, how it may end.

::

    events ──▶ [model → the asked id] ──▶ [no empty `choices` but the usage asked for] ──▶ held until content ──▶ caller
                                   │
       [DONE] seen, after some     │
         finish_reason ────────────┼──▶ ended
       engine ends, all choices    │
         have a finish_reason ─────┼──▶ [DONE] added
       anything else ──────────────┴──▶ an `error` event, then [DONE]: a cut answer never looks like a whole one

Events before the first content (a role, an empty text) are held back: until something was said, another engine may
answer instead. Keys are found by patterns on the bytes. That is exact where it matters: inside a JSON string a quote is
escaped, so text that talks about `"finish_reason":"stop"` does not match. Events are parsed until the first content;
from then on one that does not look like an object is garbage.

[DONE] is believed with fewer finish reasons than choices: there are engines that do not know of `n`.
"""

import re
from typing import Any, Protocol

import orjson

from splai.gateway.errors import GIVEN_UP_STREAM, UNFINISHED_STREAM, UPSTREAM, error_body
from splai.gateway.inference.model_field import has_model, with_model
from splai.gateway.inference.request import InferenceRequest
from splai.gateway.inference.sse import DONE, EventSplitter
from splai.gateway.responses.chat_reply import GIVEN_UP
from splai.gateway.responses.event_data import event_data
from splai.gateway.responses.json_bytes import decode

_NOTABLE = re.compile(
    rb'"finish_reason"\s*:\s*"(?P<finish>[^"]*)"|"error"\s*:\s*(?P<error>[{"])|"choices"\s*:\s*(?P<empty>\[\s*\])'
)
_ERROR = re.compile(rb'"error"\s*:\s*[{"]')
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([^"]*)"')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_CONTENT = re.compile(
    rb'"(?:content|text|reasoning_content|reasoning|refusal)"\s*:\s*"[^"]'
    rb'|"(?:tool_calls|function_call|audio)"\s*:\s*(?:\[\s*[^]\s]|{\s*[^}\s])'
)
UNFINISHED = frozenset(reason.encode() for reason in GIVEN_UP)
MOST_HELD_BYTES = 256 * 1024
_GARBAGE = "The engine's stream is not one of completions"


class StreamedAnswer(Protocol):
    """One streamed reply on its way; no I/O."""

    done: bool
    """The end was given out, or is known to be bad: nothing more is to be read."""
    was_cut: bool
    """The engine left the answer unfinished and did not say why."""
    committed: bool
    """Content was given out; until then another engine may answer instead."""
    error: bytes | None
    """The event in which the engine itself reported that it failed."""
    usage: dict[str, Any] | None
    """The tokens of the whole answer, once the engine told them."""

    def feed(self, data: bytes) -> bytes:
        """Whole events for the caller, or nothing yet; raises EventTooLarge."""

    def end(self, failure: str | None = None) -> bytes:
        """The last bytes for the caller; ``failure`` says what broke the engine's stream, None that it ended itself."""


class AnswerStream:
    """The stream of a chat completion or a completion."""

    def __init__(self, request: InferenceRequest) -> None:
        self._model = request.model.encode()
        self._include_usage = request.include_usage
        self._choices = self._open_choices = request.choices
        self._splitter = EventSplitter()
        self._pending: list[bytes] = []
        self._held_bytes = 0
        self.done = False
        self.was_cut = False
        self.committed = False
        self.error: bytes | None = None
        self.usage: dict[str, Any] | None = None

    def feed(self, data: bytes) -> bytes:
        return b"" if self.done else self._relay(self._splitter.feed(data))

    def end(self, failure: str | None = None) -> bytes:
        if self.done:
            return b""
        tail = b""
        if failure is None and _is_whole(rest := self._splitter.end()):
            tail = self._relay([rest])
        if self.done:
            return tail
        if self._open_choices > 0 and self.error is None:
            return tail + self._cut(failure or UNFINISHED_STREAM)
        return tail + self._finished()

    def _relay(self, events: list[bytes]) -> bytes:
        for event in events:
            if not (self.committed and event.startswith(b"data: {") and event.endswith(b"}")):
                data = event_data(event)
                if data.startswith(DONE[6:]):
                    return self._concluded()
                if data and not _is_object(data):
                    return self._cut(_GARBAGE)
            notable = _NOTABLE.search(event)
            if notable is not None and not self._is_wanted(event, notable):
                if self.was_cut:
                    return self._cut(GIVEN_UP_STREAM)
                continue
            self._pending.append(event if has_model(event, self._model) else _with_model_in_data(event, self._model))
            if not self.committed:
                self._held_bytes += len(event)
                self.committed = _CONTENT.search(event) is not None or self._held_bytes > MOST_HELD_BYTES
        return self._released() if self.committed else b""

    def _is_wanted(self, event: bytes, notable: re.Match[bytes]) -> bool:
        """Whether the caller gets the event; one in which the engine gives up cuts the answer."""
        kind = notable.lastgroup
        if kind == "error" or (kind == "empty" and _ERROR.search(event) is not None):
            self.error = event
            return True
        if kind == "finish":
            reasons = _FINISH.findall(event)
            self.was_cut = not UNFINISHED.isdisjoint(reasons)
            self._open_choices -= len(reasons)
        if _USAGE.search(event) is not None:
            self.usage = _usage(event)
            return (kind == "finish" or self._include_usage) and not self.was_cut
        return kind == "finish" and not self.was_cut

    def _released(self) -> bytes:
        events = b"\n\n".join((*self._pending, b"")) if self._pending else b""
        self._pending.clear()
        return events

    def _concluded(self) -> bytes:
        """At the engine's own [DONE], which some send after whatever happened."""
        if self._open_choices == self._choices and self.error is None:
            return self._cut(UNFINISHED_STREAM)
        return self._finished()

    def _finished(self) -> bytes:
        self.done = True
        self._pending.append(DONE)
        return self._released()

    def _cut(self, message: str) -> bytes:
        """What a caller gets who has seen content; anybody else can still be given another answer, or a status."""
        self.done = self.was_cut = True
        if not self.committed:
            return b""
        self._pending.append(b"data: " + error_body(message, type=UPSTREAM, code="stream_interrupted"))
        return self._finished()


def _usage(event: bytes) -> dict[str, Any] | None:
    try:
        usage = orjson.loads(event.removeprefix(b"data: "))["usage"]
    except (ValueError, KeyError, TypeError):
        return None
    return usage if isinstance(usage, dict) else None


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(decode(data), dict)
    except ValueError:
        return False


def _with_model_in_data(event: bytes, model: bytes) -> bytes:
    """The event with the ``model`` of its data replaced."""
    start = event.find(b"{")
    return event if start < 0 else event[:start] + with_model(event[start:], model)


def _is_whole(event: bytes) -> bool:
    """Whether an event that lacks only its empty line can be trusted to be complete."""
    data = event_data(event)
    return data.startswith(DONE[6:]) or _is_object(data)
