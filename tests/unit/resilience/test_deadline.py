"""What is left of a request's time."""

from splai.resilience.deadline import Deadline


def test_it_runs_down_and_stays_at_zero() -> None:
    now = 10.0
    deadline = Deadline(30.0, lambda: now)

    now = 25.0
    assert (deadline.remaining(), deadline.expired) == (15.0, False)
    now = 40.0
    assert (deadline.remaining(), deadline.expired) == (0.0, True)
    now = 99.0
    assert (deadline.remaining(), deadline.expired) == (0.0, True)
