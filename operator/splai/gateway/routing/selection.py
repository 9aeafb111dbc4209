"""Which pod of a pool gets the next request, and what is remembered of those that did not answer.

::

    lowest priority that has a pod which may be asked
      └─ weights that differ: a backend, by weight          equal weights: the pods of all
           └─ LeastLoad: the less busy of two drawn by chance
              PrefixHash: the pod that the prompt's beginning belongs to, unless it is much busier than the others

Drawing two keeps several gateways, which do not know of each other's requests, from all choosing the same idle pod.
PrefixHash is consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam: https://arxiv.org/abs/1608.01350).
"""

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from splai.gateway.routing.hash_ring import HashRing, hash_of
from splai.gateway.routing.peaks import RecentPeaks
from splai.gateway.routing.routes import BackendRoute, Pool, RouteTable, Target
from splai.resilience.circuit_breaker import CircuitBreaker, State

LOAD_FACTOR: Final = 1.25
"""How much busier than the average a pod may be that PrefixHash sends to."""
COOL_DOWN_SECONDS: Final = 5.0
"""Where an engine answers 429 and says no time."""


class _Load:
    """Requests in flight to a backend."""

    __slots__ = ("in_flight",)

    def __init__(self) -> None:
        self.in_flight = 0


class _Pod(_Load):
    """What is remembered of an address."""

    __slots__ = ("breaker",)

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.in_flight = 0
        self.breaker = breaker


class Lease:
    """A request in flight to a pod. The first of the four endings counts, whatever is called after it."""

    __slots__ = ("_backend", "_breaker", "_is_open", "_pod", "_selection", "_token", "target")

    def __init__(self, selection: "Selection", target: Target, pod: _Pod, backend: _Load) -> None:
        self.target = target
        self._selection = selection
        self._pod = pod
        self._backend = backend
        self._breaker = pod.breaker  # that of now: another pod may get the address
        self._token = self._breaker.begin()
        self._is_open = True

    def answered(self) -> None:
        """The engine did its part."""
        if self._end():
            self._breaker.succeed(self._token)
            self._selection.note_success(self.target.address, self._breaker)

    def failed(self) -> None:
        """The engine could not be reached, broke off, took too long, or answered with a 5xx."""
        if self._end():
            self._breaker.fail(self._token)
            self._selection.note(self.target.address, self._breaker)

    def refused(self, retry_after: float | None = None) -> None:
        """The engine answered 429: it gets a rest of so many seconds, unless the pool has nobody else to ask."""
        if self._end():
            self._breaker.abandon(self._token)
            if self._selection.has_others(self.target):
                self._breaker.cool_down(COOL_DOWN_SECONDS if retry_after is None else retry_after)
            self._selection.note(self.target.address, self._breaker)

    def left(self) -> None:
        """The caller went away, or the engine answered with a 4xx, which is the caller's affair."""
        if self._is_open and self._end():
            self._breaker.abandon(self._token)

    def _end(self) -> bool:
        if not self._is_open:
            return False
        self._is_open = False
        self._pod.in_flight -= 1
        self._backend.in_flight -= 1
        return True


class Selection:
    """Counts what is in flight and keeps a breaker for each address; both outlive the route tables."""

    def __init__(
        self, *, chance: random.Random | None = None, new_breaker: Callable[[], CircuitBreaker] = CircuitBreaker
    ) -> None:
        self._chance = chance or random.Random()  # noqa: S311 - balance, not secrecy
        self._new_breaker = new_breaker
        self._pods: dict[str, _Pod] = {}
        self._backends: dict[str, _Load] = {}
        self.peaks = RecentPeaks()
        """Of the requests to each backend, by its key."""
        self._troubled: set[str] = set()
        """Addresses whose breaker has to be asked; of all others it is known that they may be."""
        self._rings: dict[tuple[str, ...], HashRing] = {}

    def choose(self, pool: Pool, tried: Collection[str] = (), prefix: bytes | None = None) -> Target | None:
        """A pod for a request, none of the addresses that were ``tried``; None when no pod may be asked now.

        Pods that have as many requests as ``maxInFlight`` allows come after all others, of whatever priority.
        """
        for tier in pool.tiers:
            target = self._choose(pool, tier, tried, prefix, room_only=True)
            if target is not None:
                return target
        for tier in pool.tiers:
            if any(backend.policy.max_in_flight for backend in tier):
                target = self._choose(pool, tier, tried, prefix, room_only=False)
                if target is not None:
                    return target
        return None

    def enter(self, target: Target) -> Lease:
        """A request goes to the target."""
        key = target.backend.key
        pod = self._pods.get(target.address)
        if pod is None:
            pod = self._pods[target.address] = _Pod(self._new_breaker())
        backend = self._backends.get(key)
        if backend is None:
            backend = self._backends[key] = _Load()
        pod.in_flight += 1
        backend.in_flight += 1
        self.peaks.note(key, backend.in_flight)
        return Lease(self, target, pod, backend)

    def note(self, address: str, breaker: CircuitBreaker) -> None:
        """For leases alone: whether the address has to be asked about from now on."""
        pod = self._pods.get(address)
        if pod is None or pod.breaker is not breaker:
            return  # it has left the table, and its breaker with it
        if breaker.state != "closed" or not breaker.admits():
            self._troubled.add(address)
        else:
            self._troubled.discard(address)

    def note_success(self, address: str, breaker: CircuitBreaker) -> None:
        """For leases alone: it changes nothing where nobody has to ask."""
        if address in self._troubled:
            self.note(address, breaker)

    def has_others(self, target: Target) -> bool:
        """Whether another pod of the pool may be asked."""
        return any(address != target.address and self._admits(address) for address in target.pool.addresses)

    def retry_after(self, pool: Pool) -> float:
        """Seconds until a pod of the pool may be asked again; 0 if one may now, or there is none."""
        waits = (self._pods[it].breaker.admits_in() if it in self._troubled else 0.0 for it in pool.addresses)
        return min(waits, default=0.0)

    def in_flight(self, address: str) -> int:
        """Requests to one pod."""
        pod = self._pods.get(address)
        return 0 if pod is None else pod.in_flight

    def in_flight_by_backend(self) -> dict[str, int]:
        """Requests to each backend that has any, by its key."""
        return {key: backend.in_flight for key, backend in self._backends.items() if backend.in_flight}

    def state(self, address: str) -> State:
        """Of the breaker of one pod."""
        pod = self._pods.get(address)
        return "closed" if pod is None else pod.breaker.state

    def update(self, table: RouteTable) -> None:
        """Forget all about addresses that are no longer in the table: another pod may get them."""
        known = table.addresses
        for address in self._pods.keys() - known:
            pod = self._pods[address]
            if pod.in_flight:
                pod.breaker = self._new_breaker()
            else:
                del self._pods[address]
        self._backends = {key: backend for key, backend in self._backends.items() if backend.in_flight}
        self._troubled &= known
        self._rings = {members: ring for members, ring in self._rings.items() if known.issuperset(members)}

    def _choose(
        self, pool: Pool, tier: Sequence[BackendRoute], tried: Collection[str], prefix: bytes | None, *, room_only: bool
    ) -> Target | None:
        first = tier[0]
        point = hash_of(prefix) if prefix is not None and first.policy.strategy == "PrefixHash" else None
        if len(tier) == 1:
            addresses = self._open(first, tried, room_only)
            return self._target(pool, tier, addresses, point) if addresses else None
        able = [(it, open_ones) for it in tier if (open_ones := self._open(it, tried, room_only))]
        if not able:
            return None
        if len({backend.policy.weight for backend, _ in able}) > 1:
            able = [self._drawn(able, point)]
        backends = [backend for backend, _ in able]
        return self._target(pool, backends, [it for _, open_ones in able for it in open_ones], point)

    def _target(
        self, pool: Pool, backends: Sequence[BackendRoute], addresses: Sequence[str], point: int | None
    ) -> Target:
        address = self._less_busy(addresses) if point is None else self._by_prefix(backends, addresses, point)
        backend = backends[0] if len(backends) == 1 else next(it for it in backends if address in it.addresses)
        return Target(address, backend.model, backend, pool)

    def _open(self, backend: BackendRoute, tried: Collection[str], room_only: bool) -> Sequence[str]:
        most = backend.policy.max_in_flight if room_only else None
        addresses: Sequence[str] = backend.addresses
        if tried or self._troubled:
            addresses = [address for address in addresses if address not in tried and self._admits(address)]
        if most is not None:
            pods = self._pods
            addresses = [it for it in addresses if (pod := pods.get(it)) is None or pod.in_flight < most]
        return addresses

    def _admits(self, address: str) -> bool:
        return address not in self._troubled or self._pods[address].breaker.admits()

    def _drawn(
        self, able: Sequence[tuple[BackendRoute, Sequence[str]]], point: int | None
    ) -> tuple[BackendRoute, Sequence[str]]:
        """One of the backends by weight: by chance, or by the prompt's beginning so that it stays with that one."""
        whole = sum(backend.policy.weight for backend, _ in able)
        left = self._chance.randrange(whole) if point is None else point % whole
        for entry in able:
            left -= entry[0].policy.weight
            if left < 0:
                return entry
        raise AssertionError("the weights add up to their sum")

    def _less_busy(self, addresses: Sequence[str]) -> str:
        count = len(addresses)
        if count == 1:
            return addresses[0]
        drawn = int(self._chance.random() * count)
        other = (drawn + 1 + int(self._chance.random() * (count - 1))) % count
        first, second = addresses[drawn], addresses[other]
        return second if self.in_flight(second) < self.in_flight(first) else first

    def _by_prefix(self, backends: Iterable[BackendRoute], addresses: Collection[str], point: int) -> str:
        share = (sum(map(self.in_flight, addresses)) + 1) / len(addresses)
        for address in self._ring(backends).walk(point):
            if address in addresses and self.in_flight(address) < LOAD_FACTOR * share:
                return address
        raise AssertionError("the least busy address is below the average")

    def _ring(self, backends: Iterable[BackendRoute]) -> HashRing:
        """Of all ready pods, also those that may not be asked now: their keys come back to them."""
        members = tuple(address for backend in backends for address in backend.addresses)
        ring = self._rings.get(members)
        if ring is None:
            ring = self._rings[members] = HashRing(members)
        return ring
