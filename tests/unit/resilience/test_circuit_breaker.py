"""A server that keeps failing is left alone for a while, and asked carefully before all calls go to it again."""

from math import inf, nan

import pytest

from splai.resilience.circuit_breaker import CircuitBreaker


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock=clock)


def fails(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.fail(breaker.begin())


def succeeds(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.succeed(breaker.begin())


def test_five_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fails(breaker, 4)
    assert (breaker.state, breaker.admits()) == ("closed", True)

    fails(breaker)

    assert (breaker.state, breaker.admits(), breaker.admits_in()) == ("open", False, 60.0)


def test_a_success_in_between_starts_the_count_again(breaker: CircuitBreaker) -> None:
    fails(breaker, 4)
    succeeds(breaker)
    fails(breaker, 4)

    assert breaker.state == "closed"


def test_it_is_half_open_after_a_minute_and_three_good_trials_close_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)

    clock.now += 59.9
    assert (breaker.state, breaker.admits()) == ("open", False)
    clock.now += 0.1
    assert (breaker.state, breaker.admits()) == ("half_open", True)

    succeeds(breaker, 2)
    assert breaker.state == "half_open"
    succeeds(breaker)
    assert (breaker.state, breaker.admits()) == ("closed", True)


def test_half_open_lets_three_calls_be_in_flight(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    clock.now += 60

    tokens = [breaker.begin() for _ in range(3)]
    assert not breaker.admits()
    assert breaker.admits_in() > 0

    breaker.succeed(tokens[0])
    assert breaker.admits()


def test_one_failed_trial_opens_it_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    clock.now += 60
    succeeds(breaker, 2)

    fails(breaker)

    assert (breaker.state, breaker.admits()) == ("open", False)


def test_each_further_opening_is_longer_up_to_five_minutes(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    openings = []
    for _ in range(7):
        openings.append(breaker.admits_in())
        clock.now += breaker.admits_in()
        fails(breaker)

    assert openings == [60, 120, 180, 240, 300, 300, 300]


def test_once_closed_the_next_opening_is_short_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    clock.now += 60
    fails(breaker)
    clock.now += 120
    succeeds(breaker, 3)

    fails(breaker, 4)
    assert breaker.state == "closed"
    fails(breaker)
    assert breaker.admits_in() == 60.0


def test_a_caller_that_left_frees_its_trial_place_and_counts_nothing(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    clock.now += 60
    tokens = [breaker.begin() for _ in range(3)]

    for token in tokens:
        breaker.abandon(token)

    assert (breaker.state, breaker.admits()) == ("half_open", True)
    succeeds(breaker, 2)
    assert (breaker.state, breaker.admits()) == ("half_open", True)
    succeeds(breaker)
    assert breaker.state == "closed"


def test_a_caller_that_left_neither_breaks_nor_mends_a_row_of_failures(breaker: CircuitBreaker) -> None:
    fails(breaker, 4)
    breaker.abandon(breaker.begin())
    assert (breaker.state, breaker.admits()) == ("closed", True)

    fails(breaker)

    assert breaker.state == "open"


@pytest.mark.parametrize("settle", ["succeed", "fail", "abandon"])
def test_calls_from_before_the_opening_count_nothing_afterwards(
    breaker: CircuitBreaker, clock: Clock, settle: str
) -> None:
    early = [breaker.begin() for _ in range(4)]
    fails(breaker, 5)

    getattr(breaker, settle)(early[0])
    assert breaker.admits_in() == 60.0

    clock.now += 60
    trials = [breaker.begin() for _ in range(3)]
    for token in early[1:]:
        getattr(breaker, settle)(token)
    assert (breaker.state, breaker.admits()) == ("half_open", False)

    for token in trials:
        breaker.succeed(token)
    getattr(breaker, settle)(early[0])
    assert breaker.state == "closed"


def test_trials_from_before_it_closed_count_nothing_afterwards(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    clock.now += 60
    late = breaker.begin()
    succeeds(breaker, 3)
    fails(breaker, 4)

    breaker.fail(late)

    assert breaker.state == "closed"


@pytest.mark.parametrize("settle", ["succeed", "fail", "abandon"])
def test_a_call_that_was_not_admitted_counts_nothing(breaker: CircuitBreaker, clock: Clock, settle: str) -> None:
    fails(breaker, 5)
    for _ in range(5):
        getattr(breaker, settle)(breaker.begin())
    assert (breaker.state, breaker.admits_in()) == ("open", 60.0)

    clock.now += 60
    for _ in range(3):
        breaker.begin()
    for _ in range(5):
        getattr(breaker, settle)(breaker.begin())
    assert (breaker.state, breaker.admits()) == ("half_open", False)


def test_a_cool_down_admits_nothing_and_is_no_failure(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 4)

    breaker.cool_down(7)
    assert (breaker.state, breaker.admits(), breaker.admits_in()) == ("closed", False, 7.0)

    clock.now += 7
    assert breaker.admits()
    succeeds(breaker)
    fails(breaker, 4)
    assert breaker.state == "closed"


def test_the_longer_of_two_cool_downs_holds(breaker: CircuitBreaker) -> None:
    breaker.cool_down(30)
    breaker.cool_down(2)

    assert breaker.admits_in() == 30.0


def test_a_cool_down_outlasts_the_opening(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    breaker.cool_down(90)

    clock.now += 60

    assert (breaker.state, breaker.admits(), breaker.admits_in()) == ("half_open", False, 30.0)


@pytest.mark.parametrize(("seconds", "admits_in"), [(0, 0.0), (-5, 0.0), (nan, 0.0), (31_536_000, 300.0), (inf, 300.0)])
def test_an_odd_cool_down_does_not_take_a_server_away(
    breaker: CircuitBreaker, seconds: float, admits_in: float
) -> None:
    breaker.cool_down(seconds)

    assert breaker.admits_in() == admits_in


def test_asking_changes_nothing(breaker: CircuitBreaker, clock: Clock) -> None:
    fails(breaker, 5)
    clock.now += 60

    for _ in range(10):
        assert breaker.admits()
        assert breaker.state == "half_open"


@pytest.mark.parametrize("setting", ["failure_threshold", "half_open_calls", "open_seconds"])
def test_a_setting_that_makes_no_sense_is_refused_by_its_name(setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        CircuitBreaker(**{setting: 0})  # type: ignore[arg-type]
