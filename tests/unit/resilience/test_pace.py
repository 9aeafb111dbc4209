"""How many requests may be in flight, as a backend's answers allow."""

from splai.resilience.pace import Pace


def answers(pace: Pace, count: int) -> None:
    for _ in range(count):
        pace.answered()


def test_it_starts_at_its_ceiling_and_stays_there() -> None:
    pace = Pace(16)
    answers(pace, 100)
    assert pace.limit == 16


def test_overload_halves_it_and_a_round_of_answers_adds_one() -> None:
    pace = Pace(16)
    pace.overloaded(sent_at=0.0, now=1.0)
    assert pace.limit == 8
    answers(pace, 9)
    assert pace.limit == 9
    answers(pace, 10)
    assert pace.limit == 10


def test_requests_that_were_in_flight_together_count_once() -> None:
    pace = Pace(16)
    for sent_at in (0.1, 0.2, 0.9):
        pace.overloaded(sent_at=sent_at, now=1.0)
    assert pace.limit == 8
    pace.overloaded(sent_at=1.1, now=2.0)
    assert pace.limit == 4


def test_one_request_is_always_allowed() -> None:
    pace = Pace(4)
    for second in range(10):
        pace.overloaded(sent_at=float(second), now=second + 0.5)
    assert pace.limit == 1


def test_it_returns_to_its_ceiling_and_not_above() -> None:
    pace = Pace(4)
    pace.overloaded(sent_at=0.0, now=1.0)
    answers(pace, 100)
    assert pace.limit == 4
