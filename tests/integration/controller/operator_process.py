"""The operator as its pod would run it: a process with a kubeconfig."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from local_cluster.ports import free_ports

PATIENCE = 90.0
LEASE_SECONDS = 12
"""Instead of 15: what waits for a dead operator's Lease waits for less, and a busy machine renews it in time."""
RENEWALS = 4
"""That take some five seconds: the time between two is 0.8 to 1.6 s."""
SPLAI = Path(sys.executable).parent / "splai"
OVERHEAD = ("leases.coordination.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io")


def eventually(condition: Callable[[], bool], what: str, *, seconds: float = PATIENCE) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"not within {seconds:g} s: {what}")


@dataclass(frozen=True)
class OperatorProcess:
    """One running ``splai operator run``."""

    process: subprocess.Popen[bytes]
    metrics_port: int
    health_port: int
    log: Path

    @classmethod
    def start(cls, log: Path, *, kubeconfig: Path, namespace: str, **environment: str) -> "OperatorProcess":
        """An operator that watches one namespace and holds its Lease in it; ``environment`` adds to its settings."""
        metrics_port, health_port = free_ports(2)
        settings = {
            "KUBECONFIG": str(kubeconfig),
            "SPLAI_NAMESPACE": namespace,
            "SPLAI_WATCH_NAMESPACES": namespace,
            "SPLAI_HEALTH_PORT": str(health_port),
            "SPLAI_METRICS_PORT": str(metrics_port),
            "SPLAI_LEASE_SECONDS": str(LEASE_SECONDS),
            "SPLAI_ARTIFACTS_CLIENT_URL": "http://127.0.0.1:9",
            **environment,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [SPLAI, "operator", "run"], env={**os.environ, **settings}, stdout=output, stderr=output
            )
        return cls(process, metrics_port, health_port, log)

    def metric(self, name: str) -> dict[tuple[str, ...], float]:
        """Samples of a metric by their label values; none while the operator does not answer."""
        try:
            with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as reply:
                text = reply.read().decode()
        except OSError:
            return {}
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}

    @property
    def leading(self) -> bool:
        return self.metric("splai_operator_leader").get(()) == 1

    @property
    def health(self) -> int:
        """The status code of /healthz; 0 when nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.health_port}/healthz", timeout=5) as reply:
                return int(reply.status)
        except HTTPError as error:
            return error.code
        except OSError:
            return 0

    def healthz(self) -> dict[str, Any]:
        """What a healthy operator shows there."""
        with urlopen(f"http://127.0.0.1:{self.health_port}/healthz", timeout=5) as reply:
            shown: dict[str, Any] = json.loads(reply.read())
        return shown

    def writes(self) -> Counter[tuple[str, ...]]:
        """Requests for its resources that were to change something; the order of the labels is the metric's own."""
        found = self.metric("splai_operator_api_writes_total")
        return Counter({labels: int(count) for labels, count in found.items() if not set(labels) & set(OVERHEAD)})

    def goes_on_for_a_while(self) -> None:
        """Return when it has renewed its Lease often: what it does by itself over and over has happened by then."""

        def renewals() -> float:
            found = self.metric("splai_operator_api_writes_total")
            return sum(count for labels, count in found.items() if OVERHEAD[0] in labels)

        before = renewals()
        eventually(lambda: renewals() >= before + RENEWALS, "the operator renews its Lease")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)
