from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import BaseModel, ValidationError

from splai.api.base import Duration, format_time, parse_duration, parse_time


class Holder(BaseModel):
    duration: Duration


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("1s", timedelta(seconds=1)),
        ("1h30m", timedelta(minutes=90)),
        ("2m3s", timedelta(seconds=123)),
    ],
)
def test_durations_are_written_as_in_go(text: str, want: timedelta) -> None:
    assert parse_duration(text) == want
    assert Holder(duration=text).duration == text


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1 s", "-1s", "1.5s", "1s2"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 500ms, 30s or 1h30m"):
        parse_duration(text)
    with pytest.raises(ValidationError):
        Holder(duration=text)


def test_times_are_written_in_utc_to_the_second() -> None:
    moment = datetime(2026, 5, 1, 14, 0, 30, 999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-05-01T12:00:30Z"


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [("2026-05-01T12:00:30Z", 0), ("2026-05-01T12:00:30.000005Z", 5)],
    ids=["Time", "MicroTime"],
)
def test_times_of_kubernetes_are_read(text: str, microsecond: int) -> None:
    assert parse_time(text) == datetime(2026, 5, 1, 12, 0, 30, microsecond, tzinfo=UTC)
