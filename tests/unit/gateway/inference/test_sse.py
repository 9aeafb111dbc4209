"""Events are cut out whole, whatever the network and the engine's line ends look like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splai.gateway.inference import sse
from splai.gateway.inference.sse import EventSplitter, EventTooLarge


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"data: a", b"data: b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"data: a", b"data: b"]),
        (b"data: a\r\rdata: b\r\rdata: c\r", [b"data: a", b"data: b"]),
        (b"data:a\n\n", [b"data: a"]),
        (b"event: x\ndata:{\ndata: }\n\n", [b"event: x\ndata: {\ndata: }"]),
        (b": ping\n\ndata: a\n\n", [b": ping", b"data: a"]),
        (b"\n\n\n\ndata: a\n\n\n\n", [b"data: a"]),
        (b"data: a\n\ndata: unfinished\n", [b"data: a"]),
        ("data: 日本\n\n".encode(), ["data: 日本".encode()]),
    ],
)
@given(data=st.data())
def test_any_split_of_the_bytes_gives_the_same_events(stream: bytes, events: list[bytes], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    splitter = EventSplitter()

    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += splitter.feed(stream[start:end])

    assert found == events


def test_what_is_unfinished_at_the_end_can_be_looked_at() -> None:
    splitter = EventSplitter()
    splitter.feed(b"data: a\n\ndata:b\r")

    assert splitter.end() == b"data: b"


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    splitter = EventSplitter()

    splitter.feed(b"data: " + b"x" * 90)

    with pytest.raises(EventTooLarge):
        splitter.feed(b"x" * 10)
