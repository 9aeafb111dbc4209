"""Pauses double up to a maximum, and tries are counted."""

import pytest

from splai.resilience.retry import Backoff, RetryPolicy


@pytest.mark.parametrize(("failures", "longest"), [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (5000, 60.0)])
def test_pauses_double_up_to_the_maximum(failures: int, longest: float) -> None:
    backoff = Backoff(initial=1, maximum=60)
    assert backoff.delay(failures, jitter=1.0) == longest
    assert backoff.delay(failures, jitter=0.0) == longest / 2


def test_a_policy_ends_with_its_last_attempt() -> None:
    policy = RetryPolicy(max_attempts=3, backoff=Backoff(initial=1, maximum=60))
    assert [policy.delay_after(attempts, jitter=1.0) for attempts in (1, 2, 3)] == [1.0, 2.0, None]


def test_one_attempt_means_no_retry() -> None:
    assert RetryPolicy(max_attempts=1, backoff=Backoff(1, 60)).delay_after(1, jitter=0.5) is None
