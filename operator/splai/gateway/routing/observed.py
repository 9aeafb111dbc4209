"""What the gateway reads of the objects that it watches: ModelBackends, and the EndpointSlices of their Services."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from splai.api.backend_autoscaling import Autoscaling
from splai.api.backend_routing import Routing, Strategy
from splai.api.base import parse_duration, parse_time, wrong_fields
from splai.api.model_backend import Model
from splai.engines.served_names import served_name

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PORT_NAME = "http"
SCALED_TO_ZERO = "ScaledToZero"
# What the operator says of pods that are on their way; a node for them may be on its way too.
_STARTING = frozenset(
    {SCALED_TO_ZERO, "Creating", "Starting", "Fetching", "Loading", "Applying", "RollingOut", "Unschedulable"}
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """``spec.routing`` as the gateway uses it; times in seconds, fallbacks as ``namespace/name``.

    The last two are from ``spec.autoscaling``.
    """

    capabilities: tuple[str, ...] = ()
    default: bool = False
    priority: int = 0
    weight: int = 100
    strategy: Strategy = "LeastLoad"
    fallbacks: tuple[str, ...] = ()
    timeout: float = 600.0
    retries: int = 2
    cache_seconds: float | None = None
    """How long an answer is given again; None: never."""
    max_in_flight: int | None = None
    """A ready pod."""
    max_queued: int = 100
    max_queue_seconds: float = 60.0
    is_elastic: bool = False
    """A request brings the first pod."""
    max_hold: float | None = None
    """How long one waits for it; None: as long as the gateway's settings say."""

    @classmethod
    def from_routing(cls, routing: Routing, namespace: str) -> "Policy":
        return cls(
            capabilities=tuple(routing.capabilities),
            default=routing.default,
            priority=routing.priority,
            weight=routing.weight,
            strategy=routing.strategy,
            fallbacks=tuple(f"{namespace}/{name}" for name in routing.fallbacks),
            timeout=parse_duration(routing.timeout).total_seconds(),
            retries=routing.retries,
            cache_seconds=parse_duration(routing.cache.ttl).total_seconds() if routing.cache else None,
            max_in_flight=routing.max_in_flight,
            max_queued=routing.max_queued,
            max_queue_seconds=parse_duration(routing.max_queue_time).total_seconds(),
        )


_DEFAULTS = Policy()


@dataclass(frozen=True, slots=True)
class Backend:
    """What the gateway knows of a ModelBackend."""

    namespace: str
    name: str
    created: int
    """Unix seconds."""
    model: str
    """Its id."""
    aliases: tuple[str, ...] = ()
    policy: Policy = _DEFAULTS
    scaled_to_zero: bool = False
    """No pod is wanted, or the operator has not yet seen that one is."""
    is_starting: bool = False
    """As far as the operator has seen, ready pods are only a matter of time."""
    native_responses: bool = False
    adapters: tuple[tuple[str, str], ...] = ()
    """Each adapter's id, and what the engine calls it."""
    served_name: str = ""
    """What the engine calls the model; left out: by its id."""
    runs_once: bool = False
    """A program answers, which may have done something when it fails: a request reaches it once at most."""
    key: str = field(init=False, compare=False)
    """``namespace/name``, which every table needs several times."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.namespace}/{self.name}")
        if not self.served_name:
            object.__setattr__(self, "served_name", self.model)

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "Backend":
        """Read no more than routing needs, so that fields of a newer SPLAI stop nothing; raises ValueError."""
        metadata, spec = body["metadata"], body["spec"]
        model = Model.model_validate(spec["model"])
        engine = str((spec.get("engine") or {}).get("type"))
        reason = _ready_reason(body.get("status") or {})
        return cls(
            metadata["namespace"],
            metadata["name"],
            int(parse_time(metadata["creationTimestamp"]).timestamp()),
            model.id,
            tuple(model.aliases),
            _elastic(_policy(spec.get("routing"), metadata["namespace"]), spec.get("autoscaling")),
            scaled_to_zero=reason == SCALED_TO_ZERO or _wanted_replicas(spec, body.get("status") or {}) == 0,
            is_starting=reason in _STARTING,
            native_responses=engine == "vLLM",
            adapters=tuple((it.id, served_name(engine, model, it.id)) for it in model.adapters),
            served_name=served_name(engine, model, model.id),
            runs_once=engine == "Workflow",
        )

    @property
    def names(self) -> Iterable[str]:
        """Its id, its aliases and its adapters' ids, each once."""
        if not self.aliases and not self.adapters:
            return (self.model,)
        return dict.fromkeys((self.model, *self.aliases, *(adapter for adapter, _ in self.adapters)))


def _policy(routing: Mapping[str, Any] | None, namespace: str) -> Policy:
    """A setting that only a newer SPLAI knows must not cost the backend its requests."""
    if not routing:
        return _DEFAULTS
    try:
        policy = Policy.from_routing(Routing.model_validate(routing), namespace)
    except ValidationError as error:
        _log.warning("routing ignored", extra={"namespace": namespace, "fields": wrong_fields(error)})
        return _DEFAULTS
    return _DEFAULTS if policy == _DEFAULTS else policy  # one object for the many that say nothing


def _elastic(policy: Policy, autoscaling: Mapping[str, Any] | None) -> Policy:
    """With the settings of ``spec.autoscaling``; of a newer SPLAI's no more is known than that there are some."""
    if not autoscaling:
        return policy
    try:
        max_hold = Autoscaling.model_validate(autoscaling).max_hold
    except ValidationError as error:
        _log.warning("autoscaling ignored", extra={"fields": wrong_fields(error)})
        max_hold = None
    seconds = parse_duration(max_hold).total_seconds() if max_hold is not None else None
    return replace(policy, is_elastic=True, max_hold=seconds)


def _wanted_replicas(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Any:
    """As many as the Deployment is about to have; the conditions tell it only when it has them."""
    if not spec.get("autoscaling"):
        return spec.get("replicas")
    return (status.get("autoscaling") or {}).get("desiredReplicas")


def _ready_reason(status: Mapping[str, Any]) -> str:
    conditions = status.get("conditions") or ()
    return next((str(found.get("reason")) for found in conditions if found.get("type") == "Ready"), "")


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
