"""Which pods answer for a model: an immutable table, made anew from everything the watches hold.

- All backends of a namespace that serve a name, as id or alias, are one pool.
- A name that two namespaces serve belongs to the namespace of the oldest of these backends.
- ``namespace/name`` always works, and wins over a plain id that is spelled like it: no namespace can take the
  qualified name of another one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import Protocol

from splai.gateway.routing.observed import Backend, Endpoints, Policy

AUTO = "auto"
"""The model that is chosen by capability, unless a backend serves this very id."""
_NONE: Mapping[str, str] = MappingProxyType({})  # one object for the many that have no adapters


@dataclass(frozen=True, slots=True, eq=False)
class BackendRoute:
    """A ModelBackend with the pods that are ready now."""

    key: str
    """``namespace/name`` of the ModelBackend."""
    model: str
    """What its engine calls the model, by whatever name it was asked for."""
    adapters: Mapping[str, str]
    """What its engine calls an adapter, by the names that it can be asked for."""
    addresses: tuple[str, ...]
    """``host:port`` each."""
    policy: Policy
    at_zero: bool
    """No pod is ready because none is wanted: a request may wait for the first one."""
    is_starting: bool
    """No pod is ready yet, and nothing says that none will be."""
    native_responses: bool
    """The engine has a Responses API of its own."""
    runs_once: bool
    """A request may reach an engine of it once at most."""

    def named(self, asked: str) -> str:
        """What its engine calls what was asked for: an adapter if it has one of that name, else the model."""
        return self.adapters.get(asked, self.model)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The backends of one namespace that serve a name; one object for all names that the same backends serve."""

    key: str
    """The keys of its backends: the same in every table, as long as the same ones are in it."""
    name: str
    """``namespace/name``, with which every table finds it."""
    namespace: str
    created: int
    """Unix seconds of its oldest backend."""
    backends: tuple[BackendRoute, ...]
    """By priority, then by age."""
    tiers: tuple[tuple[BackendRoute, ...], ...]
    """The backends of each priority that have a ready pod, the first to be asked first."""
    max_in_flight: int | None
    """Of all ready pods together; None where one of them has no limit."""
    policy: Policy
    """Where the settings of one backend hold for the whole pool, they are the first one's."""
    is_ready: bool

    @property
    def addresses(self) -> Iterator[str]:
        return (address for tier in self.tiers for backend in tier for address in backend.addresses)


@dataclass(slots=True)  # not frozen: one is made for each request
class Target:
    """A ready engine pod that was chosen for a request."""

    address: str
    model: str
    """What this engine calls what was asked for."""
    backend: BackendRoute
    pool: Pool


@dataclass(frozen=True, slots=True, eq=False)
class RouteTable:
    """A snapshot of all routes."""

    pools: Mapping[str, Pool] = field(default_factory=dict)
    """By every name that works."""
    listed: tuple[str, ...] = ()
    """What `/v1/models` shows: each pool once, under its shortest name, sorted; ``auto`` if any has capabilities."""
    backends: Mapping[str, BackendRoute] = field(default_factory=dict)
    """By key."""
    capabilities: Mapping[str, Pool] = field(default_factory=dict)
    """What ``auto`` can be asked for, and who gets it: the namespace default that declares it, or the oldest."""
    default: Pool | None = None
    """Who answers ``auto`` when no capability decides: the one for chat, or else the oldest default of a namespace."""
    shadowed: tuple[str, ...] = ()
    """Names as ``namespace/name`` whose plain form means the pool of another namespace, which is older."""
    by_backend: Mapping[str, Pool] = field(default_factory=dict)
    """A pool of each backend alone, by its key: what a fallback asks."""

    def find(self, model: str) -> Pool | None:
        return self.pools.get(model)

    def fallbacks(self, pool: Pool) -> Iterator[Pool]:
        """Those of the pool's backends in order, then theirs; no backend twice, so circles end."""
        seen = {backend.key for backend in pool.backends}
        waiting = [key for backend in pool.backends for key in backend.policy.fallbacks]
        for key in waiting:  # grows on the way
            fallback = self.by_backend.get(key)
            if fallback is not None and key not in seen:
                seen.add(key)
                yield fallback
                waiting += fallback.policy.fallbacks

    @property
    def addresses(self) -> frozenset[str]:
        """Of all ready pods."""
        return frozenset(address for backend in self.backends.values() for address in backend.addresses)


class RouteSource(Protocol):
    """Whoever keeps the newest table."""

    @property
    def table(self) -> RouteTable:
        """The routes of this moment."""


def build_routes(backends: Iterable[Backend], endpoints: Iterable[Endpoints]) -> RouteTable:
    """The table for what exists now."""
    by_age = sorted(backends, key=lambda backend: (backend.created, backend.namespace, backend.name))
    routes = _routes(by_age, endpoints)
    qualified, owners = _pools(by_age, routes)
    plain: dict[str, Pool] = {}
    for (_, name), pool in owners.items():
        plain.setdefault(name, pool)
    pools = plain | qualified
    capabilities = _capabilities(by_age, qualified)
    return RouteTable(
        pools=pools,
        listed=_listed(owners, pools, with_auto=bool(capabilities)),
        backends=routes,
        by_backend=_alone(by_age, routes, qualified),
        capabilities=capabilities,
        default=capabilities.get("chat") or _default(by_age, qualified),
        shadowed=tuple(sorted(_qualify(*owner) for owner, pool in owners.items() if plain[owner[1]] is not pool)),
    )


def _qualify(namespace: str, name: str) -> str:
    return f"{namespace}/{name}"


def _routes(backends: Sequence[Backend], endpoints: Iterable[Endpoints]) -> dict[str, BackendRoute]:
    addresses: dict[str, dict[str, None]] = defaultdict(dict)  # a dict: an address may be in two slices
    for part in endpoints:
        addresses[_qualify(part.namespace, part.service)].update(dict.fromkeys(part.addresses))
    return {backend.key: _route(backend, tuple(addresses.get(backend.key, ()))) for backend in backends}


def _route(backend: Backend, addresses: tuple[str, ...]) -> BackendRoute:
    return BackendRoute(
        key=backend.key,
        model=backend.served_name,
        adapters=_adapters(backend),
        addresses=addresses,
        policy=backend.policy,
        at_zero=not addresses and backend.scaled_to_zero,
        is_starting=not addresses and backend.is_starting,
        native_responses=backend.native_responses,
        runs_once=backend.runs_once,
    )


def _adapters(backend: Backend) -> Mapping[str, str]:
    """By both forms of their ids."""
    if not backend.adapters:
        return _NONE
    return {_qualify(backend.namespace, adapter): name for adapter, name in backend.adapters} | dict(backend.adapters)


def _pools(
    by_age: Sequence[Backend], routes: Mapping[str, BackendRoute]
) -> tuple[dict[str, Pool], dict[tuple[str, str], Pool]]:
    """The pools by qualified name, and by namespace and name, those of the oldest backends first."""
    serving: dict[tuple[str, str], list[Backend]] = defaultdict(list)
    for backend in by_age:
        for name in backend.names:
            serving[backend.namespace, name].append(backend)
    owners: dict[tuple[str, str], Pool] = {}
    known: dict[tuple[str, ...], Pool] = {}
    for (namespace, name), members in sorted(serving.items(), key=_by_age_and_name):
        keys = tuple([member.key for member in members])
        pool = known.get(keys)
        if pool is None:
            pool = known[keys] = _pool(members, name, routes)
        owners[namespace, name] = pool
    return {_qualify(*owner): pool for owner, pool in owners.items()}, owners


def _by_age_and_name(item: tuple[tuple[str, str], list[Backend]]) -> tuple[int, str, bool, str]:
    """Of the names of one pool its oldest backend's own id comes before aliases."""
    (namespace, name), members = item
    return members[0].created, namespace, name != members[0].model, name


def _pool(members: Sequence[Backend], name: str, routes: Mapping[str, BackendRoute]) -> Pool:
    backends = tuple(sorted([routes[member.key] for member in members], key=_priority))
    ready = [backend for backend in backends if backend.addresses]
    return Pool(
        key=" ".join(sorted([member.key for member in members])),
        name=_qualify(members[0].namespace, name),
        namespace=members[0].namespace,
        created=members[0].created,
        backends=backends,
        tiers=tuple([tuple(tier) for _, tier in groupby(ready, key=_priority)]),
        max_in_flight=_most_in_flight(ready),
        policy=backends[0].policy,
        is_ready=bool(ready),
    )


def _priority(backend: BackendRoute) -> int:
    return backend.policy.priority


def _most_in_flight(ready: Sequence[BackendRoute]) -> int | None:
    most = 0
    for backend in ready:
        if backend.policy.max_in_flight is None:
            return None
        most += backend.policy.max_in_flight * len(backend.addresses)
    return most or None


def _alone(
    by_age: Sequence[Backend], routes: Mapping[str, BackendRoute], qualified: Mapping[str, Pool]
) -> dict[str, Pool]:
    """A pool of each backend: its own, where it shares its id with nobody."""
    own: dict[str, Pool] = {}
    for backend in by_age:
        pool = qualified[_qualify(backend.namespace, backend.model)]
        own[backend.key] = pool if len(pool.backends) == 1 else _pool([backend], backend.model, routes)
    return own


def _listed(owners: Mapping[tuple[str, str], Pool], pools: Mapping[str, Pool], *, with_auto: bool) -> tuple[str, ...]:
    names = [owner[1] if pools[owner[1]] is pool else _qualify(*owner) for owner, pool in owners.items()]
    if with_auto and AUTO not in pools:
        names.append(AUTO)
    return tuple(sorted(names))


def _capabilities(by_age: Sequence[Backend], qualified: Mapping[str, Pool]) -> dict[str, Pool]:
    found: dict[str, Pool] = {}
    for backend in sorted(by_age, key=lambda backend: not backend.policy.default):
        for capability in backend.policy.capabilities:
            found.setdefault(capability, qualified[_qualify(backend.namespace, backend.model)])
    return found


def _default(by_age: Sequence[Backend], qualified: Mapping[str, Pool]) -> Pool | None:
    defaults = (backend for backend in by_age if backend.policy.default)
    return next((qualified[_qualify(backend.namespace, backend.model)] for backend in defaults), None)
