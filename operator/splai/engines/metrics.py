"""What an engine tells Prometheus: where, and what it calls the few numbers that are looked at first.

No two engines agree on names. The chart's recording rules, which are made from what each engine's file says, give the
same number the same name for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SCRAPE, PORT, PATH = "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"
"""The annotations by which Prometheus's own example for Kubernetes, and many installations, find pods."""

Kind = Literal["gauge", "ratio", "counter", "histogram"]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Names as ``path`` has them, at the engine's own port; None: the engine has no such number."""

    path: str = "/metrics"
    requests_running: str | None = None
    requests_waiting: str | None = None
    kv_cache_usage_ratio: str | None = None
    """A gauge from 0 to 1."""
    prompt_tokens_total: str | None = None
    generated_tokens_total: str | None = None
    time_to_first_token_seconds: str | None = None
    """A histogram, without ``_bucket``, ``_sum`` and ``_count``."""

    def annotations(self, port: int) -> dict[str, str]:
        """Of a pod whose engine listens there."""
        return {SCRAPE: "true", PORT: str(port), PATH: self.path}

    @property
    def names(self) -> Mapping[str, str]:
        """By the common name; only those that there are."""
        found = {field: getattr(self, field) for field in COMMON}
        return {f"splai_engine_{field}": name for field, name in found.items() if name is not None}


COMMON: Mapping[str, Kind] = {
    "requests_running": "gauge",
    "requests_waiting": "gauge",
    "kv_cache_usage_ratio": "ratio",
    "prompt_tokens_total": "counter",
    "generated_tokens_total": "counter",
    "time_to_first_token_seconds": "histogram",
}
"""What each of the numbers is."""
