"""What the gateway counts. Label values are bounded: routes of the router, ids of the route table, own words."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The gateway's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "splai_gateway_requests",
            "Requests by outcome; model is empty unless it is a known one, code 499 is a caller that left.",
            ("route", "model", "code"),
            registry=self.registry,
        )
        self.duration = Histogram(
            "splai_gateway_request_duration_seconds",
            "From the request's headers to the last byte of its reply.",
            ("route", "model"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.first_byte = Histogram(
            "splai_gateway_time_to_first_byte_seconds",
            "From a request's headers to the first byte of a model's answer.",
            ("route", "model"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "splai_gateway_requests_in_flight", "Requests that are being answered.", registry=self.registry
        )
        self.upstream_errors = Counter(
            "splai_gateway_upstream_errors",
            "Failures of engines, those that another engine made good included.",
            ("model", "reason"),
            registry=self.registry,
        )
        self.models = Gauge("splai_gateway_models", "Model names that can be asked for.", registry=self.registry)
        self.watch_failures = Counter(
            "splai_gateway_watch_failures",
            "Broken watches and failed lists; the last good routes stay.",
            ("resource",),
            registry=self.registry,
        )

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
