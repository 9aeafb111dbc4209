"""Which pods answer for a model: an immutable table, made anew from everything the watches hold.

- All backends of a namespace that serve a name, as id or alias, are one pool.
- A name that two namespaces serve belongs to the namespace of the oldest of these backends.
- ``namespace/name`` always works, and wins over a plain id that is spelled like it: no namespace can take the
  qualified name of another one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from splai.gateway.routing.observed import Backend, Endpoints, Policy

AUTO = "auto"
"""The model that is chosen by capability, unless a backend serves this very id."""


@dataclass(frozen=True, slots=True, eq=False)
class BackendRoute:
    """A ModelBackend with the pods that are ready now."""

    key: str
    """``namespace/name`` of the ModelBackend."""
    model: str
    """The id that its engine serves, whatever name was asked for."""
    addresses: tuple[str, ...]
    """``host:port`` each."""
    policy: Policy
    at_zero: bool
    """No pod is ready because none is wanted: a request may wait for the first one."""
    is_starting: bool
    """No pod is ready yet, and nothing says that none will be."""
    native_responses: bool
    """The engine has a Responses API of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The backends of one namespace that serve a name; one object for all names that the same backends serve."""

    key: str
    """The same in every table, as long as the same backends are in it."""
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

    @property
    def policy(self) -> Policy:
        """Where the settings of one backend hold for the whole pool, they are the first one's."""
        return self.backends[0].policy

    @property
    def is_ready(self) -> bool:
        return bool(self.tiers)

    @property
    def addresses(self) -> Iterator[str]:
        return (address for tier in self.tiers for backend in tier for address in backend.addresses)


class Target(NamedTuple):
    """A ready engine pod that was chosen for a request."""

    address: str
    model: str
    """The id that this engine serves, whatever name was asked for."""
    backend: BackendRoute
    pool: Pool


@dataclass(frozen=True, slots=True, eq=False)
class RouteTable:
    """A snapshot of all routes."""

    pools: Mapping[str, Pool] = field(default_factory=dict)
    """By every name that works."""
    listed: tuple[str, ...] = ()
    """What `/v1/models` shows: each pool once, under its shortest name, sorted; ``auto`` if anything has capabilities."""
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

    def chain(self, pool: Pool) -> Iterator[Pool]:
        """The pool, then its backends' fallbacks in order, then theirs; no backend twice, whatever circles there are."""
        yield pool
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
    serving: dict[tuple[str, str], list[Backend]] = defaultdict(list)
    for backend in by_age:
        for name in backend.names:
            serving[backend.namespace, name].append(backend)
    pools = _Pools(routes)
    plain: dict[str, Pool] = {}
    qualified: dict[str, Pool] = {}
    for (namespace, name), members in sorted(serving.items(), key=lambda item: (item[1][0].created, item[0])):
        pool = pools.of(members, f"{namespace}/{name}")
        plain.setdefault(name, pool)
        qualified[pool_name(namespace, name)] = pool
    found = plain | qualified
    capabilities = _capabilities(by_age, qualified)
    names = [name for name in plain if found[name] is plain[name]]
    reachable = {id(found[name]) for name in names}
    names += [name for name, pool in qualified.items() if id(pool) not in reachable]
    if capabilities and AUTO not in plain:
        names.append(AUTO)
    return RouteTable(
        pools=MappingProxyType(found),
        listed=tuple(sorted(names)),
        backends=MappingProxyType(routes),
        capabilities=MappingProxyType(capabilities),
        default=capabilities.get("chat") or _default(by_age, qualified),
        shadowed=tuple(sorted(_shadowed(serving, plain))),
        by_backend=MappingProxyType({backend.key: pools.of([backend], "") for backend in by_age}),
    )
