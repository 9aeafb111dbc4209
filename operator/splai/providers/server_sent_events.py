"""Server-sent events out of network reads: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""

import codecs

from splai.providers.protocol import Event

MOST_BYTES = 16 * 1024 * 1024


class EventTooLarge(Exception):
    """More than MOST_BYTES came without the end of an event."""


class EventReader:
    """Cuts a byte stream into events; comments and events without data are none."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._name = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that ``data`` completes; raises EventTooLarge."""
        text = self._rest + self._decode(data)
        held = "\r" if text.endswith("\r") else ""  # it may be half of a CRLF
        lines = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + held
        events = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > MOST_BYTES:
            raise EventTooLarge
        return events

    def end(self) -> list[Event]:
        """What was left without its empty line; whether it is whole is for the reader to tell."""
        found = [self._line(self._rest.rstrip("\r")), self._line("")]
        self._rest = ""
        return [event for event in found if event is not None]

    def _line(self, line: str) -> Event | None:
        if not line:
            event = Event(self._name or "message", "\n".join(self._data)) if any(self._data) else None
            self._name, self._data, self._size = "", [], 0
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
        elif name == "event":
            self._name = value
        return None
