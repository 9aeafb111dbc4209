"""One leader at a time, whatever dies, and nobody needs to trust another machine's clock."""

from collections.abc import Callable

import pytest

from splai.kube.errors import Unavailable, VersionFell
from splai.kube.lease import DURATION, Elector, LeaseLost
from splai.kube.resource import LEASES
from tests.unit.kube.memory_client import MemoryClient


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def candidate(client: MemoryClient, clock: Clock) -> Callable[[str], Elector]:
    return lambda identity: Elector(client, namespace="n", name="operator", identity=identity, clock=clock)


Candidate = Callable[[str], Elector]


def holder(client: MemoryClient) -> str:
    return str(client.objects[LEASES, "n", "operator"]["spec"]["holderIdentity"])


async def test_the_first_candidate_creates_the_lease_and_leads(client: MemoryClient, candidate: Candidate) -> None:
    first = candidate("first")

    await first.acquire()

    assert first.leading
    assert holder(client) == "first"


async def test_a_standby_waits_while_the_lease_is_renewed(clock: Clock, candidate: Candidate) -> None:
    first, standby = candidate("first"), candidate("standby")
    await first.acquire()

    for _ in range(10):
        assert not await standby._try(standby._take)
        clock.now += DURATION / 2
        assert await first._try(first._renew)

    assert not standby.leading


async def test_a_standby_takes_over_when_the_lease_stood_still_for_its_duration(
    client: MemoryClient, clock: Clock, candidate: Candidate
) -> None:
    first, standby = candidate("first"), candidate("standby")
    await first.acquire()
    assert not await standby._try(standby._take)

    clock.now += DURATION

    assert await standby._try(standby._take)
    assert holder(client) == "standby"
    assert client.objects[LEASES, "n", "operator"]["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_cannot_renew_stops_before_anybody_takes_over(
    client: MemoryClient, clock: Clock, candidate: Candidate
) -> None:
    first = candidate("first")
    await first.acquire()

    clock.now += first.renew_deadline
    client.fail = [Unavailable("away")]
    assert not await first._try(first._renew)

    assert first.renew_deadline < DURATION
    with pytest.raises(LeaseLost, match="first does not hold the lease n/operator"):
        first.require()


async def test_a_short_lease_is_over_sooner_for_both_sides(client: MemoryClient, clock: Clock) -> None:
    first, standby = (
        Elector(client, namespace="n", name="operator", identity=identity, clock=clock, duration=duration)
        for identity, duration in (("first", 3), ("standby", DURATION))
    )
    await first.acquire()
    assert not await standby._try(standby._take)

    clock.now += first.renew_deadline
    assert not first.leading
    assert not await standby._try(standby._take)

    clock.now += 3 - first.renew_deadline
    assert await standby._try(standby._take)


async def test_a_missed_renewal_is_no_loss(client: MemoryClient, clock: Clock, candidate: Candidate) -> None:
    first = candidate("first")
    await first.acquire()

    clock.now += first.renew_deadline / 2
    client.fail = [Unavailable("away")]
    assert not await first._try(first._renew)

    first.require()


async def test_a_leader_that_slept_learns_that_another_leads(clock: Clock, candidate: Candidate) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    await second._try(second._take)
    clock.now += DURATION
    await second._try(second._take)

    assert not await first._try(first._renew)

    assert not first.leading
    assert second.leading


async def test_a_released_lease_is_taken_at_once(client: MemoryClient, candidate: Candidate) -> None:
    first, standby = candidate("first"), candidate("standby")
    await first.acquire()
    assert not await standby._try(standby._take)

    await first.release()

    assert not first.leading
    assert await standby._try(standby._take)
    assert holder(client) == "standby"


async def test_releasing_leaves_a_lease_that_another_holds_by_now(
    client: MemoryClient, clock: Clock, candidate: Candidate
) -> None:
    first, second = candidate("first"), candidate("second")
    await first.acquire()
    lease = await client.get(LEASES, "n", "operator")
    lease["spec"]["holderIdentity"] = "second"
    client.store(LEASES, lease)

    await first.release()

    assert holder(client) == "second"
    del second, clock


async def test_of_two_that_take_at_the_same_time_one_gets_it(
    client: MemoryClient, clock: Clock, candidate: Candidate
) -> None:
    """The slower one's compare-and-swap fails, which is no error to it."""
    slow = candidate("slow")
    await candidate("first").acquire()
    await slow._try(slow._take)
    clock.now += DURATION

    class Overtaken(MemoryClient):
        async def replace(self, *arguments: object) -> dict[str, object]:
            client.store(LEASES, client.objects[LEASES, "n", "operator"])
            return await client.replace(*arguments)  # type: ignore[arg-type]

    overtaken = Overtaken()
    overtaken.objects = client.objects
    slow._client = overtaken

    assert not await slow._try(slow._take)
    assert not slow.leading


@pytest.mark.parametrize("leads", [True, False])
async def test_a_lease_older_than_it_was_is_a_rollback(client: MemoryClient, candidate: Candidate, leads: bool) -> None:
    first, standby = candidate("first"), candidate("standby")
    await first.acquire()
    before = await client.get(LEASES, "n", "operator")
    await first._try(first._renew)
    await standby._try(standby._take)

    client.objects[LEASES, "n", "operator"] = before

    with pytest.raises(VersionFell, match="the lease is at version 2, but 3 was seen before"):
        await (first._try(first._renew) if leads else standby._try(standby._take))
