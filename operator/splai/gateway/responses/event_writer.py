"""Events of the Responses API as bytes, numbered in the order in which they leave."""

from typing import Any

from splai.gateway.errors import UPSTREAM
from splai.gateway.responses.json_bytes import encode


def event(kind: str, number: int, fields: dict[str, Any]) -> bytes:
    """One server-sent event."""
    data = encode({"type": kind, "sequence_number": number, **fields})
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def error_event(number: int, message: str, code: str) -> bytes:
    """The ``error`` event.

    The API reference has its members on the event itself, Open Responses in ``error``. The official SDKs raise only
    for the latter, and an iteration that just ends would look like a whole answer: so it has both.
    """
    error = {"type": UPSTREAM, "code": code, "message": message, "param": None}
    return event("error", number, {"code": code, "message": message, "param": None, "error": error})


class EventWriter:
    """Collects events until they are taken."""

    def __init__(self) -> None:
        self._number = 0
        self._events: list[bytes] = []

    def write(self, kind: str, **fields: Any) -> None:
        self._events.append(event(kind, self._number, fields))
        self._number += 1

    def write_error(self, message: str, code: str) -> None:
        self._events.append(error_event(self._number, message, code))
        self._number += 1

    def write_delta(self, head: bytes, text: str) -> None:
        """An event of which only the text and the number are new; ``head`` is from ``delta_head``."""
        self._events.append(b'%b%b,"sequence_number":%d}\n\n' % (head, encode(text), self._number))
        self._number += 1

    def taken(self) -> bytes:
        """What was written since the last time."""
        events = b"".join(self._events)
        self._events.clear()
        return events


def delta_head(kind: str, **fields: Any) -> bytes:
    """All of a delta's event that stands before its text."""
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), encode({"type": kind, **fields})[:-1])
