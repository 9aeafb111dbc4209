"""The most of something within the last seconds."""

from splai.gateway.routing.peaks import SPAN_SECONDS, STALE_SECONDS, RecentPeaks


def read_once(now: float = 100.0) -> RecentPeaks:
    peaks = RecentPeaks()
    peaks.read({}, now)
    return peaks


def test_what_rose_and_fell_between_two_looks_is_seen() -> None:
    peaks = read_once()
    for count in (1, 2, 3):
        peaks.note("a/b", count)

    assert peaks.read({}, 101) == {"a/b": 3}


def test_who_looks_as_well_takes_nothing_away() -> None:
    peaks = read_once()
    peaks.note("a/b", 3)
    peaks.read({}, 101)

    assert peaks.read({}, 102) == {"a/b": 3}


def test_after_two_spans_it_is_forgotten() -> None:
    peaks = read_once()
    peaks.note("a/b", 3)

    assert peaks.read({}, 100 + SPAN_SECONDS) == {"a/b": 3}
    assert peaks.read({}, 100 + 2 * SPAN_SECONDS - 1) == {"a/b": 3}
    assert peaks.read({}, 100 + 2 * SPAN_SECONDS) == {"a/b": 3}
    assert peaks.read({}, 100 + 2 * SPAN_SECONDS + 1) == {}


def test_what_stays_is_seen_without_being_noted_again() -> None:
    peaks = read_once()

    for looks in range(1, 20):
        peaks.read({"a/b": 2}, 100 + looks * 3)

    assert peaks.read({"a/b": 2}, 160) == {"a/b": 2}


def test_whoever_looks_for_the_first_time_in_a_while_hears_nothing_of_long_ago() -> None:
    peaks = read_once()
    peaks.note("a/b", 50)

    assert peaks.read({"a/b": 1}, 100 + STALE_SECONDS) == {"a/b": 1}
