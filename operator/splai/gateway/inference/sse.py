"""Server-sent events on bytes: whole events out of network reads, and the form in which they leave.

Engines may end lines with LF, CRLF or CR and leave out the space after ``data:``; clients in the wild split on LF and
compare with ``data: [DONE]``. So everything leaves with LF and a space.
"""

import re

DONE = b"data: [DONE]"
MAX_EVENT_BYTES = 16 * 1024 * 1024

_MISSING_SPACE = re.compile(rb"^data:(?! )", re.MULTILINE)


class EventTooLarge(Exception):
    """An engine sent more than MAX_EVENT_BYTES without ending an event."""


class EventSplitter:
    """Cuts a byte stream into events, without the empty line that ends each of them."""

    def __init__(self) -> None:
        self._rest = b""
        self._held_carriage_return = False

    def feed(self, data: bytes) -> list[bytes]:
        """The events that ``data`` completes."""
        if self._held_carriage_return or data.find(b"\r") >= 0:
            data = self._with_line_feeds(data)
        *events, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLarge
        return [_tidy(event) for event in events if event.strip(b"\n")]

    def end(self) -> bytes:
        """What was left unfinished; the stream has ended."""
        return _tidy(self._rest)

    def _with_line_feeds(self, data: bytes) -> bytes:
        """A CR at the end of a read waits for the next one: it may be half of a CRLF."""
        if self._held_carriage_return:
            data = b"\r" + data
        self._held_carriage_return = data.endswith(b"\r")
        if self._held_carriage_return:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _tidy(event: bytes) -> bytes:
    """``data:`` with its space; an empty line too many between two events goes."""
    if event.startswith(b"data: ") and event.find(b"\n") < 0:
        return event
    return _MISSING_SPACE.sub(b"data: ", event.strip(b"\n"))
