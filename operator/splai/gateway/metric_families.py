"""The gateway's metrics by name. Which labels they get, and when their series go, is said in ``metrics``."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from splai.gateway.series import CounterFamily, Family, GaugeFamily, HistogramFamily
from splai.resilience.circuit_breaker import State

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OWN_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1)
# Not `namespace`: that is what Prometheus calls the namespace of the pod that it scrapes.
_BACKEND = ("backend_namespace", "integration_name")

_BREAKER_STATES: dict[State, int] = {"closed": 0, "half_open": 1, "open": 2}


@dataclass(frozen=True, slots=True)
class BackendState:
    """Whether a backend can be asked now."""

    namespace: str
    name: str
    available: bool
    """It has a ready engine and its breaker lets requests through, or it is at zero and would be woken."""
    breaker: State = "closed"


BackendStates = Callable[[], Iterable[BackendState]]


class MetricFamilies:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._of_routes()
        self._of_models()
        self._of_backends()
        self.by_model: tuple[Family[Any], ...] = (
            *(self.requests, self.duration, self.overhead, self.first_token),
            *(self.in_flight, self.queued, self.held, self.queue_wait, self.tokens),
            *(self.retries, self.fallbacks, self.cache, self.upstream_errors),
        )
        """Those with a label ``model``."""
        self.models = Gauge("splai_gateway_models", "Model names that can be asked for.", registry=self.registry)
        self.watch_failures = Counter(
            "splai_gateway_watch_failures",
            "Broken watches and failed lists; the last good routes stay.",
            ("resource",),
            registry=self.registry,
        )

    def _of_routes(self) -> None:
        labels = ("route", "model")
        self.requests = CounterFamily(
            "splai_gateway_requests",
            "Requests by outcome; model is empty unless it is a known one, code 499 is a caller that left.",
            (*labels, "code"),
            self.registry,
        )
        self.duration = HistogramFamily(
            "splai_gateway_request_duration_seconds",
            "From the request's headers to the last byte of its reply.",
            labels,
            self.registry,
            bounds=_SECONDS,
        )
        self.overhead = HistogramFamily(
            "splai_gateway_overhead_seconds",
            "The part of a request's duration in which the gateway waited for nobody.",
            labels,
            self.registry,
            bounds=_OWN_SECONDS,
        )
        self.first_token = HistogramFamily(
            "splai_gateway_time_to_first_token_seconds",
            "From a request's headers to the first generated content of its stream.",
            labels,
            self.registry,
            bounds=_SECONDS,
        )

    def _of_models(self) -> None:
        by_model, registry = ("model",), self.registry
        self.in_flight = GaugeFamily(
            "splai_gateway_requests_in_flight",
            "Requests that are being answered; model is empty for those that ask none.",
            by_model,
            registry,
        )
        self.queued = GaugeFamily(
            "splai_gateway_requests_queued", "Requests that wait for a slot of their model.", by_model, registry
        )
        self.held = GaugeFamily(
            "splai_gateway_requests_held", "Requests that wait for a backend at zero to start.", by_model, registry
        )
        self.queue_wait = HistogramFamily(
            "splai_gateway_queue_wait_seconds",
            "How long admitted requests waited for a slot.",
            by_model,
            registry,
            bounds=_SECONDS,
        )
        self.tokens = CounterFamily(
            "splai_gateway_tokens", "Tokens as the engines count them.", ("model", "type"), registry
        )
        self.retries = CounterFamily(
            "splai_gateway_retries", "Calls of an engine after one that failed.", by_model, registry
        )
        self.fallbacks = CounterFamily(
            "splai_gateway_fallbacks", "Requests that went to a fallback of their backend.", by_model, registry
        )
        self.cache = CounterFamily(
            "splai_gateway_cache_lookups", "Lookups in the response cache.", ("model", "result"), registry
        )
        self.upstream_errors = CounterFamily(
            "splai_gateway_upstream_errors",
            "Failures of engines, those that another engine made good included.",
            ("model", "reason"),
            registry,
        )

    def _of_backends(self) -> None:
        self.integration_duration = HistogramFamily(
            "integration_api_duration_seconds",
            "How long calls of a backend took.",
            _BACKEND,
            self.registry,
            bounds=_SECONDS,
        )
        self.integration_errors = CounterFamily(
            "integration_errors", "Calls of a backend that failed by its own fault.", _BACKEND, self.registry
        )
        self.states = BackendStateCollector()
        self.registry.register(self.states)


class BackendStateCollector(Collector):
    """Asks what is true when somebody wants to know: nothing is to be kept up to date, or removed."""

    def __init__(self) -> None:
        self.source: BackendStates = tuple

    def collect(self) -> Iterable[Metric]:
        health = GaugeMetricFamily("integration_health", "1 while a backend can be asked, else 0.", labels=_BACKEND)
        breaker = GaugeMetricFamily(
            "splai_gateway_breaker_state", "A backend's breaker: 0 closed, 1 half-open, 2 open.", labels=_BACKEND
        )
        for state in self.source():
            health.add_metric((state.namespace, state.name), int(state.available))
            breaker.add_metric((state.namespace, state.name), _BREAKER_STATES[state.breaker])
        return [health, breaker]
