"""What the operator tells Prometheus. Names and labels are an interface: dashboards and alerts build on them."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from splai.controller.queue import Key
from splai.kube.resource import Resource

READS = frozenset({"get", "list", "watch"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The operator's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._queue_wait = Histogram(
            "splai_operator_queue_wait_seconds",
            "From when a resource was due until a worker took it.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._retries = Counter(
            "splai_operator_reconcile_retries", "Reconciles that failed and wait.", ["kind"], registry=self.registry
        )
        self._reconcile = Histogram(
            "splai_operator_reconcile_seconds",
            "Reconciles by result: done, refused, failed or gone.",
            ["kind", "result"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._requests = Counter(
            "splai_operator_api_requests",
            "Requests to the apiserver by outcome; code 0 is no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._writes = Counter(
            "splai_operator_api_writes",
            "Requests to the apiserver that change something.",
            ["verb", "resource"],
            registry=self.registry,
        )
        self._deferred = Counter(
            "splai_operator_status_deferred",
            "Status patches put off to stay within the budget for progress.",
            ["kind"],
            registry=self.registry,
        )
        self.policies_current = Gauge(
            "splai_operator_policies_current",
            "0 while the file of policies holds what was refused: the last good ones apply.",
            registry=self.registry,
        )
        self.leader = Gauge("splai_operator_leader", "1 while this process holds the Lease.", registry=self.registry)

    def waited(self, seconds: float) -> None:
        self._queue_wait.observe(seconds)

    def retried(self, key: Key) -> None:
        self._retries.labels(key.kind).inc()

    def requested(self, verb: str, resource: Resource, code: int) -> None:
        """A RequestObserver for the client."""
        self._requests.labels(verb, resource.name, str(code)).inc()
        if verb not in READS:
            self._writes.labels(verb, resource.name).inc()

    def deferred(self, kind: str) -> None:
        self._deferred.labels(kind).inc()

    @contextmanager
    def reconciling(self, kind: str) -> Iterator[Callable[[str], None]]:
        """Time a reconcile; call what is given with its result, else it counts as failed."""
        started = time.perf_counter()
        result = "failed"

        def set_result(value: str) -> None:
            nonlocal result
            result = value

        try:
            yield set_result
        finally:
            self._reconcile.labels(kind, result).observe(time.perf_counter() - started)

    def show(self, *, queue_depth: Callable[[], int], phases: Callable[[], Tally[str]]) -> None:
        """Add what is counted when somebody asks, not when it changes."""
        self.registry.register(_OnDemand(queue_depth, phases))


class _OnDemand(Collector):
    def __init__(self, queue_depth: Callable[[], int], phases: Callable[[], Tally[str]]) -> None:
        self._queue_depth = queue_depth
        self._phases = phases

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("splai_operator_queue_depth", "Resources that wait for a worker.", self._queue_depth())
        jobs = GaugeMetricFamily("splai_inference_jobs", "InferenceJobs by phase.", labels=["phase"])
        for phase, count in sorted(self._phases().items()):
            jobs.add_metric([phase], count)
        yield jobs
