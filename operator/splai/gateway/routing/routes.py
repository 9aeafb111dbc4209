"""Which pods answer for a model: an immutable table, made anew from everything the watches hold.

- All backends of a namespace that serve a name, as id or alias, are one pool.
- A name that two namespaces serve belongs to the namespace of the oldest of these backends.
- ``namespace/name`` always works, and wins over a plain id that is spelled like it: no namespace can take the
  qualified name of another one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from splai.api.base import parse_time
from splai.api.model_backend import Model

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PORT_NAME = "http"


@dataclass(frozen=True, slots=True)
class Backend:
    """What the gateway knows of a ModelBackend."""

    namespace: str
    name: str
    created: int
    """Unix seconds."""
    model: str
    """The id that its engine serves."""
    aliases: tuple[str, ...] = ()

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Backend":
        """Read no more than routing needs, so that fields of a newer SPLAI stop nothing; raises ValueError."""
        metadata = body["metadata"]
        model = Model.model_validate(body["spec"]["model"])
        created = int(parse_time(metadata["creationTimestamp"]).timestamp())
        return cls(metadata["namespace"], metadata["name"], created, model.id, tuple(model.aliases))

    @property
    def names(self) -> frozenset[str]:
        return frozenset((self.model, *self.aliases))


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The ready addresses of one EndpointSlice; a Service may have several slices."""

    namespace: str
    service: str
    addresses: tuple[str, ...]

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Endpoints":
        """Read a discovery.k8s.io/v1 EndpointSlice; raises ValueError or KeyError."""
        metadata = body["metadata"]
        service = metadata["labels"][SERVICE_NAME_LABEL]
        ports = [port["port"] for port in body.get("ports") or () if port.get("name") == PORT_NAME and port.get("port")]
        if not ports or body["addressType"] not in ("IPv4", "IPv6"):
            return cls(metadata["namespace"], service, ())
        addresses = [
            _join(endpoint["addresses"][0], ports[0])
            for endpoint in body.get("endpoints") or ()
            if (endpoint.get("conditions") or {}).get("ready") is not False  # the API says: unknown means ready
        ]
        return cls(metadata["namespace"], service, tuple(addresses))


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A ready engine pod."""

    address: str
    """``host:port``"""
    model: str
    """The id that this engine serves, whatever name was asked for."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The targets of a name in one namespace; empty while none of them is ready."""

    namespace: str
    created: int
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A snapshot of all routes."""

    pools: Mapping[str, Pool] = field(default_factory=dict)
    listed: tuple[str, ...] = ()
    """What `/v1/models` shows: each pool once, under its shortest name, sorted."""

    def find(self, model: str) -> Pool | None:
        return self.pools.get(model)


class RouteSource(Protocol):
    """Whoever keeps the newest table."""

    @property
    def table(self) -> RouteTable:
        """The routes of this moment."""


def build_routes(backends: Iterable[Backend], endpoints: Iterable[Endpoints]) -> RouteTable:
    """The table for what exists now."""
    addresses: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)  # a dict: an address may be in two slices
    for part in endpoints:
        addresses[part.namespace, part.service].update(dict.fromkeys(part.addresses))

    serving: dict[tuple[str, str], list[Backend]] = defaultdict(list)
    for backend in sorted(backends, key=lambda backend: (backend.created, backend.namespace, backend.name)):
        for name in backend.names:
            serving[name, backend.namespace].append(backend)

    plain: dict[str, Pool] = {}
    qualified: dict[str, Pool] = {}
    for (name, namespace), members in sorted(serving.items(), key=lambda item: (item[1][0].created, item[0])):
        targets = (
            Target(address, member.model)
            for member in members
            for address in addresses.get((namespace, member.name), ())
        )
        pool = Pool(namespace, members[0].created, tuple(targets))
        plain.setdefault(name, pool)
        qualified[f"{namespace}/{name}"] = pool
    pools = plain | qualified
    listed = [name for name in plain if pools[name] is plain[name]]
    reachable = {id(pools[name]) for name in listed}
    listed += [name for name, pool in qualified.items() if id(pool) not in reachable]
    return RouteTable(pools, tuple(sorted(listed)))
