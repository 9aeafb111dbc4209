"""Events out of network reads, wherever these are cut."""

import pytest

from splai.providers.protocol import Event
from splai.providers.server_sent_events import MOST_BYTES, EventReader, EventTooLarge

TEXT = (
    b'\xef\xbb\xbf: a comment\n\ndata: {"a": 1}\n\nevent: named\ndata:\xc3\xa9\r\ndata: second\r\n\r\n'
    b"id: 7\nretry: 3\n\ndata\n\rdata: last\r\r"
)
EVENTS = [Event("message", '{"a": 1}'), Event("named", "é\nsecond"), Event("message", "last")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_they_are_cut(size: int) -> None:
    reader = EventReader()
    found = [event for at in range(0, len(TEXT), size) for event in reader.feed(TEXT[at : at + size])]

    assert [*found, *reader.end()] == EVENTS


def test_what_lacks_its_empty_line_is_left_for_the_end() -> None:
    reader = EventReader()

    assert reader.feed(b"data: [DONE]") == []
    assert reader.end() == [Event("message", "[DONE]")]
    assert reader.end() == []


def test_an_event_that_never_ends_is_not_kept() -> None:
    reader = EventReader()
    half = b"data: " + b"x" * (MOST_BYTES // 2) + b"\n"

    assert reader.feed(half) == reader.feed(half) == []
    with pytest.raises(EventTooLarge):
        reader.feed(half)
