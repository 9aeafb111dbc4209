"""The fields of one server-sent event, as the EventSplitter gives it out."""


def event_data(event: bytes) -> bytes:
    """The data, several lines of it joined by LF (WHATWG HTML §9.2.6); b"" if there is none, as in a comment."""
    if event.startswith(b"data: ") and event.find(b"\n") < 0:
        return event[6:]
    return b"\n".join(line[6:] for line in event.split(b"\n") if line.startswith(b"data: "))


def event_name(event: bytes) -> str:
    """What stands in ``event:``; "" if it is not given."""
    if event.startswith(b"data: ") and event.find(b"\n") < 0:
        return ""
    for line in event.split(b"\n"):
        if line.startswith(b"event:"):
            return line[6:].strip().decode(errors="replace")
    return ""
