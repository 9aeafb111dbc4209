"""Requests go where fewer are in flight, and not where they were not answered."""

import random
from collections import Counter
from typing import Any

import pytest

from splai.gateway.routing.observed import Backend, Endpoints, Policy
from splai.gateway.routing.routes import Pool, RouteTable, Target, build_routes
from splai.gateway.routing.selection import COOL_DOWN_SECONDS, Selection
from splai.resilience.circuit_breaker import CircuitBreaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def selection(clock: Clock) -> Selection:
    return Selection(chance=random.Random(1), new_breaker=lambda: CircuitBreaker(failure_threshold=2, clock=clock))


def routes(*backends: tuple[str, tuple[str, ...], dict[str, Any]]) -> RouteTable:
    """Of backends of one pool, the oldest first: (name, addresses, policy)."""
    return build_routes(
        [Backend("a", name, age, "m", (), Policy(**policy)) for age, (name, _, policy) in enumerate(backends)],
        [Endpoints("a", name, addresses) for name, addresses, _ in backends],
    )


def pool_of(*backends: tuple[str, tuple[str, ...], dict[str, Any]]) -> Pool:
    return routes(*backends).pools["m"]


def pods(*addresses: str, **policy: Any) -> Pool:
    """A pool of one backend."""
    return pool_of(("b", addresses, policy))


def choose(selection: Selection, pool: Pool, **how: Any) -> Target:
    target = selection.choose(pool, **how)
    assert target is not None
    return target


def chosen(selection: Selection, pool: Pool, *, times: int = 200, **how: Any) -> Counter[str]:
    return Counter(choose(selection, pool, **how).address for _ in range(times))


def enter(selection: Selection, pool: Pool, address: str) -> Any:
    others = set(pool.addresses) - {address}
    return selection.enter(choose(selection, pool, tried=others))


def break_down(selection: Selection, pool: Pool, address: str) -> None:
    for _ in range(2):
        enter(selection, pool, address).failed()


class TestLeastLoad:
    def test_of_two_pods_the_less_busy_one_is_chosen(self, selection: Selection) -> None:
        pool = pods("one", "two")
        enter(selection, pool, "one")

        assert set(chosen(selection, pool)) == {"two"}

    def test_idle_pods_share_the_requests(self, selection: Selection) -> None:
        counts = chosen(selection, pods("one", "two", "three"), times=3000)

        assert all(800 < counts[address] < 1200 for address in ("one", "two", "three"))

    def test_the_busiest_of_three_is_never_chosen(self, selection: Selection) -> None:
        pool = pods("one", "two", "three")
        enter(selection, pool, "two")

        assert "two" not in chosen(selection, pool)

    def test_what_was_tried_is_not_tried_again(self, selection: Selection) -> None:
        pool = pods("one", "two")

        assert set(chosen(selection, pool, tried={"one"})) == {"two"}
        assert selection.choose(pool, tried=("one", "two")) is None

    def test_a_pool_without_pods_has_nobody(self, selection: Selection) -> None:
        assert selection.choose(pods()) is None

    def test_a_target_says_which_backend_and_which_id_it_is(self, selection: Selection) -> None:
        pool = pods("one")

        assert choose(selection, pool) == Target("one", "m", pool.backends[0], pool)


class TestPrioritiesAndWeights:
    def test_a_higher_number_waits_until_no_lower_one_can(self, selection: Selection) -> None:
        pool = pool_of(("spare", ("2",), {"priority": 1}), ("main", ("1",), {}))

        assert set(chosen(selection, pool)) == {"1"}
        assert set(chosen(selection, pool, tried={"1"})) == {"2"}
        break_down(selection, pool, "1")
        assert set(chosen(selection, pool)) == {"2"}

    def test_different_weights_are_shares_of_the_requests(self, selection: Selection) -> None:
        pool = pool_of(("main", ("1", "2", "3"), {"weight": 90}), ("canary", ("4",), {"weight": 10}))

        assert 230 < chosen(selection, pool, times=3000)["4"] < 370

    def test_equal_weights_leave_it_to_the_load(self, selection: Selection) -> None:
        pool = pool_of(("x", ("1", "2", "3"), {}), ("y", ("4",), {}))
        enter(selection, pool, "4")

        assert set(chosen(selection, pool)) == {"1", "2", "3"}

    def test_no_weight_means_only_when_nobody_else_can(self, selection: Selection) -> None:
        pool = pool_of(("main", ("1",), {}), ("drained", ("2",), {"weight": 0}))

        assert set(chosen(selection, pool)) == {"1"}
        assert set(chosen(selection, pool, tried={"1"})) == {"2"}

    def test_a_full_pod_is_passed_over_also_for_one_of_a_higher_number(self, selection: Selection) -> None:
        pool = pool_of(("main", ("1", "2"), {"max_in_flight": 1}), ("spare", ("3",), {"priority": 1}))
        enter(selection, pool, "1")
        assert set(chosen(selection, pool)) == {"2"}
        enter(selection, pool, "2")

        assert set(chosen(selection, pool)) == {"3"}
        assert set(chosen(selection, pool, tried={"3"})) == {"1", "2"}


class TestPrefixHash:
    POOL = pods(*(f"10.0.0.{number}:8000" for number in range(5)), strategy="PrefixHash")

    def homes(self, selection: Selection, pool: Pool, count: int = 500) -> dict[bytes, str]:
        prefixes = [f"conversation {number}".encode() for number in range(count)]
        return {prefix: choose(selection, pool, prefix=prefix).address for prefix in prefixes}

    def test_requests_that_begin_alike_go_to_the_same_pod(self, selection: Selection) -> None:
        assert len(chosen(selection, self.POOL, prefix=b"You are a helpful assistant")) == 1

    def test_every_gateway_sends_them_to_the_same_pod(self, selection: Selection) -> None:
        assert self.homes(selection, self.POOL) == self.homes(Selection(), self.POOL)

    def test_different_beginnings_are_spread(self, selection: Selection) -> None:
        counts = Counter(self.homes(selection, self.POOL).values())

        assert len(counts) == 5
        assert max(counts.values()) < 2 * min(counts.values())

    def test_only_the_keys_of_a_pod_that_goes_move(self, selection: Selection) -> None:
        before = self.homes(selection, self.POOL)
        gone = "10.0.0.2:8000"
        fewer = pods(*(it for it in self.POOL.addresses if it != gone), strategy="PrefixHash")

        after = self.homes(selection, fewer)

        assert {prefix for prefix in before if before[prefix] != after[prefix]} == {
            prefix for prefix, home in before.items() if home == gone
        }

    def test_keys_return_to_a_pod_that_could_not_be_asked(self, selection: Selection, clock: Clock) -> None:
        before = self.homes(selection, self.POOL)
        broken = "10.0.0.2:8000"
        break_down(selection, self.POOL, broken)
        during = self.homes(selection, self.POOL)
        clock.now += 61

        assert broken not in during.values()
        assert all(during[prefix] == home for prefix, home in before.items() if home != broken)
        assert self.homes(selection, self.POOL) == before

    def test_a_pod_that_is_much_busier_than_the_others_is_passed_over(self, selection: Selection) -> None:
        for _ in range(40):
            selection.enter(choose(selection, self.POOL, prefix=b"everybody asks the same"))

        loads = sorted(selection.in_flight(address) for address in self.POOL.addresses)
        assert loads[-1] <= 11  # a quarter above the average, and the one that is let in
        assert loads[0] < loads[-1]

    def test_a_request_without_a_prefix_goes_by_load(self, selection: Selection) -> None:
        assert len(chosen(selection, self.POOL)) == 5

    def test_a_beginning_stays_with_one_of_the_weighted_backends(self, selection: Selection) -> None:
        policy = {"strategy": "PrefixHash"}
        pool = pool_of(("x", ("1", "2"), {**policy, "weight": 75}), ("y", ("3",), {**policy, "weight": 25}))

        assert len(chosen(selection, pool, prefix=b"alike")) == 1
        assert 0.15 < Counter(self.homes(selection, pool).values())["3"] / 500 < 0.35


class TestBreakers:
    POOL = pods("one", "two")

    def test_a_pod_that_keeps_failing_is_left_alone_for_a_while(self, selection: Selection, clock: Clock) -> None:
        break_down(selection, self.POOL, "one")

        assert selection.state("one") == "open"
        assert set(chosen(selection, self.POOL)) == {"two"}
        clock.now += 61
        assert set(chosen(selection, self.POOL)) == {"one", "two"}

    def test_an_answer_in_between_forgives(self, selection: Selection) -> None:
        for _ in range(5):
            enter(selection, self.POOL, "one").failed()
            enter(selection, self.POOL, "one").answered()

        assert selection.state("one") == "closed"

    def test_trials_that_succeed_bring_it_back(self, selection: Selection, clock: Clock) -> None:
        break_down(selection, self.POOL, "one")
        clock.now += 61
        for _ in range(3):
            enter(selection, self.POOL, "one").answered()

        assert selection.state("one") == "closed"

    def test_no_more_than_three_try_at_a_time(self, selection: Selection, clock: Clock) -> None:
        break_down(selection, self.POOL, "one")
        clock.now += 61
        leases = [enter(selection, self.POOL, "one") for _ in range(3)]

        assert selection.choose(self.POOL, tried={"two"}) is None
        leases[0].left()
        assert choose(selection, self.POOL, tried={"two"}).address == "one"

    def test_callers_that_leave_and_their_own_mistakes_count_nothing(self, selection: Selection) -> None:
        for _ in range(10):
            enter(selection, self.POOL, "one").left()

        assert selection.state("one") == "closed"

    def test_all_broken_is_nobody_and_says_when_to_come_again(self, selection: Selection, clock: Clock) -> None:
        break_down(selection, self.POOL, "one")
        clock.now += 20
        break_down(selection, self.POOL, "two")

        assert selection.choose(self.POOL) is None
        assert selection.retry_after(self.POOL) == 40

    def test_a_pool_that_can_be_asked_need_not_be_waited_for(self, selection: Selection) -> None:
        break_down(selection, self.POOL, "one")

        assert selection.retry_after(self.POOL) == 0
        assert selection.retry_after(pods()) == 0

    def test_a_breaker_does_not_outlive_its_pod(self, selection: Selection) -> None:
        break_down(selection, self.POOL, "one")
        late = enter(selection, self.POOL, "two")
        selection.update(routes(("b", ("three",), {})))
        late.failed()

        selection.update(routes(("b", ("one", "two"), {})))

        assert (selection.state("one"), selection.state("two")) == ("closed", "closed")
        assert set(chosen(selection, self.POOL)) == {"one", "two"}


class TestRefusals:
    POOL = pods("one", "two")

    def test_an_engine_that_answers_429_gets_the_rest_it_asks_for(self, selection: Selection, clock: Clock) -> None:
        enter(selection, self.POOL, "one").refused(30)

        assert set(chosen(selection, self.POOL)) == {"two"}
        clock.now += 30
        assert set(chosen(selection, self.POOL)) == {"one", "two"}
        assert selection.state("one") == "closed"

    def test_without_a_time_it_is_a_short_one(self, selection: Selection, clock: Clock) -> None:
        enter(selection, self.POOL, "one").refused()
        clock.now += COOL_DOWN_SECONDS

        assert set(chosen(selection, self.POOL)) == {"one", "two"}

    def test_the_last_one_that_can_be_asked_gets_none(self, selection: Selection) -> None:
        enter(selection, self.POOL, "one").refused(30)
        enter(selection, self.POOL, "two").refused(30)

        assert set(chosen(selection, self.POOL)) == {"two"}

    def test_neither_does_an_only_one(self, selection: Selection) -> None:
        pool = pods("one")
        enter(selection, pool, "one").refused(30)

        assert choose(selection, pool).address == "one"


class TestCounts:
    POOL = pods("one")

    @pytest.mark.parametrize("ending", ["answered", "failed", "refused", "left"])
    def test_each_ending_frees_the_seat_once(self, selection: Selection, ending: str) -> None:
        lease, other = enter(selection, self.POOL, "one"), enter(selection, self.POOL, "one")
        assert selection.in_flight_by_backend() == {"a/b": 2}

        getattr(lease, ending)()
        for again in ("answered", "failed", "refused", "left"):
            getattr(lease, again)()

        assert selection.in_flight("one") == 1
        other.left()
        assert selection.in_flight("one") == 0
        assert selection.in_flight_by_backend() == {}

    def test_only_the_first_ending_counts(self, selection: Selection) -> None:
        for _ in range(5):
            lease = enter(selection, self.POOL, "one")
            lease.answered()
            lease.failed()

        assert selection.state("one") == "closed"

    def test_requests_to_pods_that_are_gone_are_counted_to_their_end(self, selection: Selection) -> None:
        lease = enter(selection, self.POOL, "one")
        selection.update(RouteTable())
        assert selection.in_flight("one") == 1

        lease.answered()

        assert selection.in_flight("one") == 0


def test_any_order_of_events_leaves_no_count_behind(selection: Selection, clock: Clock) -> None:
    chance = random.Random(7)
    tables = [routes(("b", tuple(f"{it}" for it in range(size)), {"max_in_flight": 2})) for size in (1, 2, 4)]
    leases: list[Any] = []
    table = tables[0]
    for _ in range(5000):
        target = selection.choose(table.pools["m"])
        if target is not None:
            leases.append(selection.enter(target))
        if len(leases) > chance.randrange(12):
            lease = leases.pop(chance.randrange(len(leases)))
            getattr(lease, chance.choice(["answered", "failed", "refused", "left"]))()
        if chance.random() < 0.05:
            table = chance.choice(tables)
            selection.update(table)
            clock.now += 7
        in_flight = Counter(lease.target.address for lease in leases)
        assert all(selection.in_flight(f"{it}") == in_flight[f"{it}"] for it in range(4))
    for lease in leases:
        lease.left()

    assert selection.in_flight_by_backend() == {}
