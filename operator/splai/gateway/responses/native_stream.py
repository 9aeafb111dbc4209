"""The event stream of an engine that has the Responses API itself.

::

    response.created, …added ─▶ held: another engine may still answer
    first *.delta or *.done ──▶ all that was held, then every event as it comes
    response.completed, response.incomplete, response.failed, error ─▶ ended
    an end without any of these ─▶ an `error` event: a cut answer never looks like a whole one

Events pass as the engine wrote them; only those with the whole response are read, for its model and its usage. A
failure is told in an `error` event with an `error` in it as well: SDKs raise for nothing else, and an iteration that
just ends would look like a whole answer.
"""

import re
from typing import Any

from splai.gateway.errors import UNFINISHED_STREAM
from splai.gateway.inference.sse import DONE, EventSplitter
from splai.gateway.responses.chat_reply import chat_usage
from splai.gateway.responses.event_data import event_data, event_name
from splai.gateway.responses.event_writer import error_event
from splai.gateway.responses.json_bytes import decode, encode

_CONTENT = re.compile(rb"event: [a-z_.]+\.(?:delta|done)\n")
_KIND = re.compile(r"[a-z_.]+")
_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d+)')
_FAILURES = frozenset({"response.failed", "error"})
_ENDS = frozenset({"response.completed", "response.incomplete", *_FAILURES})
_FAILED = "The engine reports that it failed"
_GARBAGE = "The engine's stream is not one of response events"


class NativeResponseStream:
    """One streamed answer of the engine, to a request for ``model``; no I/O."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._splitter = EventSplitter()
        self._pending: list[bytes] = []
        self._last = b""
        self._broken: str | None = None
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
        if self._is_over():
            return b""
        for event in self._splitter.feed(data):
            self._read(event)
            if self._is_over():
                break
        if not self.committed:
            return b""
        if self._broken:
            self._write_error(self._broken)
        self.done = self._is_over()
        return self._taken()

    def end(self, failure: str | None = None) -> bytes:
        """The last bytes for the caller; ``failure`` says what broke the engine's stream, None that it ended itself."""
        if self.done:
            return b""
        rest = self._splitter.end() if failure is None else b""
        if not self._is_over() and _is_whole(rest):
            self._read(rest)
        if not self.done and self.error is None:
            self.was_cut = True
            self._write_error(self._broken or failure or UNFINISHED_STREAM)
        self.done = True
        return self._taken()

    def _is_over(self) -> bool:
        return self.done or self.error is not None or self._broken is not None

    def _read(self, event: bytes) -> None:
        if self.committed and event.endswith(b"}") and _CONTENT.match(event):
            self._pass(event)
            return
        data = event_data(event)
        if not data or data.startswith(DONE[6:]):
            return
        try:
            document = decode(data)
        except ValueError:
            document = None
        kind = _kind(event, document) if isinstance(document, dict) else ""
        if kind:
            self._read_document(event, document, kind)
        else:
            self.was_cut = True
            self._broken = _GARBAGE

    def _read_document(self, event: bytes, document: dict[str, Any], kind: str) -> None:
        response = document.get("response")
        if not isinstance(response, dict):
            response = {}
        elif response.get("model") != self._model:
            response["model"] = self._model
            event = _named(kind, encode(document))
        if not event.startswith(b"event: "):
            event = _named(kind, event_data(event))
        if kind != "error" or document.get("error"):
            self._pass(event)
        if kind.endswith((".delta", ".done")):
            self.committed = True
        elif kind in _FAILURES:
            self.error = event
            if not document.get("error"):
                self._report(document, response)
        elif kind in _ENDS:
            self.committed = self.done = True
        if isinstance(response.get("usage"), dict):
            self.usage = chat_usage(response["usage"])

    def _pass(self, event: bytes) -> None:
        self._last = event
        self._pending.append(event)

    def _report(self, document: dict[str, Any], response: dict[str, Any]) -> None:
        """What the engine says of its failure: in the response that failed, or on the event itself."""
        said = response.get("error")
        said = said if isinstance(said, dict) else document
        self._write_error(str(said.get("message") or _FAILED), str(said.get("code") or "engine_reported_error"))

    def _write_error(self, message: str, code: str = "stream_interrupted") -> None:
        found = _NUMBER.findall(self._last)
        number = int(found[-1]) + 1 if found else 0
        self._pending.append(error_event(number, message, code).removesuffix(b"\n\n"))

    def _taken(self) -> bytes:
        events = b"\n\n".join((*self._pending, b"")) if self._pending else b""
        self._pending.clear()
        return events


def _kind(event: bytes, document: dict[str, Any]) -> str:
    """The type of an event, "" if it has none; an engine that breaks down may send just its error."""
    kind = document.get("type") or event_name(event) or ("error" if document.get("error") else "")
    return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else ""


def _named(kind: str, data: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + data.replace(b"\n", b"\ndata: ")


def _is_whole(event: bytes) -> bool:
    """Whether an event that lacks only its empty line can be trusted to be complete."""
    try:
        decode(event_data(event))
    except ValueError:
        return False
    return True
