"""Patches of statuses that can wait: how soon each may come, and how many all together."""

from collections.abc import Callable

import pytest

from splai.controller.queue import Key
from splai.controller.status_budget import (
    BYTES_PER_SECOND,
    OBJECT_INTERVAL,
    PATCHES_PER_SECOND,
    PHASES_PER_SECOND,
    StatusBudget,
)
from splai.kube.resource import INFERENCE_JOBS

SMALL = 1000


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Installation:
    """Objects that all want to write progress whenever they may."""

    def __init__(self, *, size: int = SMALL) -> None:
        self.clock = Clock()
        self.budget = StatusBudget(self.clock)
        self.size = size
        self.asked = 0

    def ask(self, number: int) -> float:
        """Seconds the object has to wait; it writes at once when it may."""
        self.asked += 1
        wait = self.budget.wait(key(number), self.size)
        if wait == 0:
            self.budget.spend(key(number), self.size)
        return wait

    def run(self, objects: int, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> dict[int, int]:
        """Each object asks again exactly when it was told to; how often each has written."""
        due = dict.fromkeys(range(objects), self.clock.now)
        writes = dict.fromkeys(range(objects), 0)
        end = self.clock.now + seconds
        while (now := min(due.values())) < end:
            self.clock.now = now
            meanwhile()
            for number in [number for number, moment in due.items() if moment <= now]:
                wait = self.ask(number)
                writes[number] += wait == 0
                due[number] = now + (wait or 0.001)
        return writes


def key(number: int) -> Key:
    return Key.of(INFERENCE_JOBS, "n", f"j-{number}")


def test_an_object_alone_writes_every_two_seconds() -> None:
    assert Installation().run(1, 20)[0] == pytest.approx(20 / OBJECT_INTERVAL, abs=1)


def test_a_large_status_is_written_less_often() -> None:
    assert Installation(size=80 * 1024).run(1, 100)[0] == pytest.approx(10, abs=1)


def test_many_objects_share_the_patches_evenly_and_none_asks_in_vain() -> None:
    installation = Installation()

    writes = installation.run(1000, 100)

    assert sum(writes.values()) == pytest.approx(100 * PATCHES_PER_SECOND, rel=0.02)
    assert set(writes.values()) <= {1, 2, 3}
    assert installation.asked < 3 * sum(writes.values()) + 1000


def test_many_large_statuses_share_the_bytes() -> None:
    size = 200 * 1024

    writes = Installation(size=size).run(100, 200)

    assert sum(writes.values()) * size == pytest.approx(200 * BYTES_PER_SECOND, rel=0.05)
    assert max(writes.values()) - min(writes.values()) <= 2


def test_what_is_urgent_is_counted_and_progress_waits_for_it() -> None:
    installation = Installation()

    def storm() -> None:
        for number in range(1000, 1000 + 2 * int(PATCHES_PER_SECOND)):
            installation.budget.spend(key(number), SMALL)

    storm()
    assert installation.ask(1) > 1

    assert sum(Installation.run(installation, 50, 5, meanwhile=storm).values()) == 0


def test_after_a_storm_progress_goes_on_within_a_second_or_two() -> None:
    installation = Installation()
    for number in range(10_000):
        installation.budget.spend(key(number), SMALL)

    assert installation.ask(20_000) <= 2


def test_a_phase_does_not_wait_for_those_who_tell_of_progress() -> None:
    installation = Installation()
    assert max(installation.ask(number) for number in range(1000)) > 45

    assert installation.budget.wait(key(2000), SMALL, interval=0, phase=True) < 1


def test_in_a_storm_that_lasts_a_few_phases_a_second_get_their_turn() -> None:
    installation = Installation()
    budget, clock = installation.budget, installation.clock
    waiting = set(range(100))

    for _ in range(10 * 40):  # ten seconds of ends, twice as many as the budget allows
        clock.now += 1 / 40
        budget.spend(key(5000), SMALL)
        for number in sorted(waiting):
            if budget.wait(key(number), SMALL, interval=0, phase=True) == 0:
                budget.spend(key(number), SMALL)
                waiting.discard(number)

    assert 100 - len(waiting) == pytest.approx(PATCHES_PER_SECOND + 10 * PHASES_PER_SECOND, rel=0.1)


def test_a_phase_gets_its_own_turn_even_if_the_object_waits_for_another() -> None:
    installation = Installation()
    waits = [installation.ask(number) for number in range(1000)]

    assert installation.budget.wait(key(999), SMALL, interval=0, phase=True) < waits[999] / 10


def test_a_turn_is_kept_until_it_comes() -> None:
    installation = Installation()
    waits = [installation.ask(number) for number in range(40)]
    last = waits[-1]
    assert last == max(waits)

    installation.clock.now += last / 2
    assert installation.ask(39) == pytest.approx(last / 2)

    installation.clock.now += last / 2
    assert installation.ask(39) == 0


def test_a_forgotten_object_begins_anew() -> None:
    installation = Installation()
    installation.ask(1)
    assert installation.ask(1) == OBJECT_INTERVAL

    installation.budget.forget(key(1))

    assert installation.ask(1) == 0
