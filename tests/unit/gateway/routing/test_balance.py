"""Requests go where fewer are in flight."""

import random
from collections import Counter

from splai.gateway.routing.balance import Balancer
from splai.gateway.routing.routes import Target

ONE, TWO, THREE = (Target(f"10.0.0.{number}:8000", "m") for number in (1, 2, 3))


def test_of_two_targets_the_less_busy_one_is_picked() -> None:
    balancer = Balancer(random.Random(1))
    balancer.enter(ONE)

    assert {balancer.pick((ONE, TWO)) for _ in range(50)} == {TWO}


def test_a_finished_request_counts_no_more() -> None:
    balancer = Balancer(random.Random(1))
    balancer.enter(ONE)
    balancer.enter(ONE)
    balancer.enter(TWO)
    balancer.leave(ONE)
    balancer.leave(ONE)

    assert balancer.in_flight(ONE) == 0
    assert balancer.pick((ONE, TWO)) == ONE


def test_idle_targets_share_the_requests() -> None:
    balancer = Balancer(random.Random(1))

    picks = Counter(balancer.pick((ONE, TWO, THREE)) for _ in range(3000))

    assert all(800 < picks[target] < 1200 for target in (ONE, TWO, THREE))


def test_the_busiest_of_three_is_never_picked() -> None:
    balancer = Balancer(random.Random(1))
    for _ in range(5):
        balancer.enter(TWO)

    assert TWO not in {balancer.pick((ONE, TWO, THREE)) for _ in range(200)}
