"""Retries are a share of the traffic, however much of it fails."""

from splai.resilience.retry_budget import RetryBudget


class Traffic:
    """Requests and retries at times that the test sets."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.budget = RetryBudget(clock=lambda: self.now)

    def requests(self, count: int) -> None:
        for _ in range(count):
            self.budget.request()

    def retries(self, wanted: int) -> int:
        """How many of them are allowed."""
        return sum(self.budget.try_spend() for _ in range(wanted))


def test_a_fifth_of_the_requests_may_be_retried() -> None:
    traffic = Traffic()
    traffic.requests(100)

    assert traffic.retries(100) == 20


def test_few_retries_are_allowed_without_traffic() -> None:
    assert Traffic().retries(10) == 3


def test_each_request_adds_its_share() -> None:
    traffic = Traffic()
    traffic.requests(100)
    traffic.retries(20)

    traffic.requests(10)

    assert traffic.retries(10) == 2


def test_what_was_spent_comes_back_when_the_window_has_passed() -> None:
    traffic = Traffic()
    traffic.retries(3)

    traffic.now += 50
    assert traffic.retries(1) == 0
    traffic.now += 10
    assert traffic.retries(10) == 3


def test_requests_from_before_the_window_give_nothing() -> None:
    traffic = Traffic()
    traffic.requests(1000)

    traffic.now += 3600

    assert traffic.retries(100) == 3
