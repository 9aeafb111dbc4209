"""A source may fail now and then; only so often without a byte between."""

from collections.abc import Iterator

import pytest

from splai.inputs.errors import SourceUnavailable
from splai.inputs.resume import Patience, call_again, read_resumed
from splai.resilience.retry import Backoff, RetryPolicy


class Clock:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    def patience(self, tries: int = 3) -> Patience:
        return Patience(RetryPolicy(tries, Backoff(initial=1.0, maximum=8.0)), self.pauses.append, lambda: 1.0)


def test_reading_goes_on_where_it_broke_off() -> None:
    content = b"0123456789"

    def open_at(offset: int) -> Iterator[bytes]:
        yield content[offset : offset + 3]
        if offset + 3 < len(content):
            raise SourceUnavailable("it broke")

    clock = Clock()
    assert b"".join(read_resumed(open_at, clock.patience(tries=2))) == content
    assert clock.pauses == [1.0, 1.0, 1.0], "each break is a first one, for bytes came before it"


def test_after_the_last_try_the_failure_is_told() -> None:
    def open_at(offset: int) -> Iterator[bytes]:
        if offset == 0:
            yield b"a"
        raise SourceUnavailable("it is away")

    clock = Clock()
    reading = read_resumed(open_at, clock.patience())
    assert next(reading) == b"a"
    with pytest.raises(SourceUnavailable, match="it is away"):
        next(reading)
    assert clock.pauses == [1.0, 2.0]


@pytest.mark.parametrize(("retry_after", "want"), [(0.0, 1.0), (5.0, 5.0), (3600.0, 8.0)])
def test_a_source_that_names_a_pause_gets_it_within_reason(retry_after: float, want: float) -> None:
    failures = [SourceUnavailable("busy", retry_after=retry_after)]

    def call() -> str:
        if failures:
            raise failures.pop()
        return "done"

    clock = Clock()
    assert call_again(call, clock.patience()) == "done"
    assert clock.pauses == [want]


def test_what_only_a_new_reading_can_mend_is_not_tried_again() -> None:
    def call() -> None:
        raise SourceUnavailable("no way to go on", passes=False)

    clock = Clock()
    with pytest.raises(SourceUnavailable):
        call_again(call, clock.patience())
    assert clock.pauses == []
