"""The artifact server's metrics; labels are of few values, never a job's name or path."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from splai.artifacts.disk import MeasureSpace

_METHODS = ("GET", "HEAD", "PUT", "DELETE")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """What the server counts, in a registry of its own."""

    def __init__(self, space: MeasureSpace | None) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "splai_artifacts_requests", "Requests answered.", ["method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "splai_artifacts_request_seconds",
            "Time to answer a request, its whole body included.",
            ["method"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.received = Counter("splai_artifacts_received_bytes", "Bytes written by clients.", registry=self.registry)
        self.sent = Counter("splai_artifacts_sent_bytes", "Bytes read by clients.", registry=self.registry)
        if space is not None:
            self._measure(space)

    def _measure(self, space: MeasureSpace) -> None:
        free = Gauge("splai_artifacts_store_free_bytes", "Free space of the store's volume.", registry=self.registry)
        used = Gauge("splai_artifacts_store_used_bytes", "Used space of the store's volume.", registry=self.registry)
        free.set_function(lambda: space().free)
        used.set_function(lambda: space().used)

    def answered(self, method: str, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "other"
        self.requests.labels(method, f"{status // 100}xx").inc()
        self.seconds.labels(method).observe(seconds)
