"""A streamed answer on its way from the engine to the caller: what is changed, what is left out, how it may end.

::

    events ──▶ [model → the asked id] ──▶ [no empty `choices` but the usage asked for] ──▶ caller
                                   │
       [DONE] seen ────────────────┼──▶ ended
       engine ends, all choices    │
         have a finish_reason ─────┼──▶ [DONE] added
       engine ends, anything else ─┴──▶ an `error` event, then [DONE]: a cut answer never looks like a whole one

Keys are found by patterns on the bytes. That is exact where it matters: inside a JSON string a quote is escaped, so
text that talks about `"finish_reason":"stop"` does not match.
"""

import json
import re

from splai.gateway.errors import UPSTREAM, error_body
from splai.gateway.inference.model_field import has_model, with_model
from splai.gateway.inference.request import InferenceRequest
from splai.gateway.inference.sse import DONE, EventSplitter

_FINISH = re.compile(rb'"finish_reason"\s*:\s*"')
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_ERROR = re.compile(rb'"error"\s*:\s*[{"]')


class AnswerStream:
    """One streamed reply; no I/O."""

    def __init__(self, request: InferenceRequest) -> None:
        self._model = request.model.encode()
        self._include_usage = request.include_usage
        self._open_choices = request.choices
        self._reported_error = False
        self._splitter = EventSplitter()
        self.done = False
        """[DONE] was given out: nothing may follow."""
        self.was_cut = False
        """The engine left the answer unfinished and did not say why."""

    def feed(self, data: bytes) -> bytes:
        """Whole events for the caller, or nothing yet; raises EventTooLarge."""
        return b"" if self.done else self._relay(self._splitter.feed(data))

    def end(self, failure: str | None = None) -> bytes:
        """The last bytes for the caller; ``failure`` says what broke the engine's stream, None that it ended itself."""
        if self.done:
            return b""
        tail = b""
        if failure is None:
            rest = self._splitter.end()
            tail = self._relay([rest] if _is_whole(rest) else [])
        if self.done:
            return tail
        if self._open_choices > 0 and not self._reported_error:
            self.was_cut = True
            message = failure or "The engine ended the stream before the answer was finished"
            tail += b"data: " + error_body(message, type=UPSTREAM, code="stream_interrupted") + b"\n\n"
        self.done = True
        return tail + DONE + b"\n\n"

    def _relay(self, events: list[bytes]) -> bytes:
        passed = []
        for event in events:
            if event.startswith(DONE):
                self.done = True
                passed.append(DONE)
                break
            if self._is_wanted(event):
                passed.append(event if has_model(event, self._model) else _with_model_in_data(event, self._model))
        return b"\n\n".join((*passed, b"")) if passed else b""

    def _is_wanted(self, event: bytes) -> bool:
        if _FINISH.search(event):
            self._open_choices -= len(_FINISH.findall(event))
        elif _ERROR.search(event):
            self._reported_error = True
        elif _NO_CHOICES.search(event):
            return self._include_usage and _USAGE.search(event) is not None
        return True


def _with_model_in_data(event: bytes, model: bytes) -> bytes:
    """The event with the ``model`` of its data replaced."""
    start = event.find(b"{")
    return event if start < 0 else event[:start] + with_model(event[start:], model)


def _is_whole(event: bytes) -> bool:
    """Whether an event that lacks only its empty line can be trusted to be complete."""
    if event.startswith(DONE):
        return True
    try:
        json.loads(event.removeprefix(b"data: "))
    except ValueError:
        return False
    return True
