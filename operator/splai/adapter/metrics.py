"""The adapter's metrics; labels are of few values, never a prompt, a key or a caller."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """What the adapter counts, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "splai_adapter_requests",
            "Requests answered; code is the HTTP status, 499 for a caller that left, interrupted for a broken stream.",
            ["api", "code"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "splai_adapter_request_seconds",
            "Time from a request to the end of its answer.",
            ["api"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("splai_adapter_requests_in_flight", "Requests being worked on.", registry=self.registry)

    def answered(self, api: str, code: str, seconds: float) -> None:
        self._requests.labels(api, code).inc()
        self._seconds.labels(api).observe(seconds)
