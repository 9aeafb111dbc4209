"""The operator as its pod would run it: a process with a kubeconfig, against the shared control plane."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.running_control_plane import RunningControlPlane

PATIENCE = 60.0
ZERO_WRITES = ("leases.coordination.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io")


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
    log: Path

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

    def writes(self) -> dict[tuple[str, str], int]:
        """Requests that changed something, by verb and resource."""
        found = self.metric("splai_operator_api_writes_total")
        return {
            (labels[1], labels[0]) if "." in labels[0] else (labels[0], labels[1]): int(count)
            for labels, count in found.items()
            if not set(labels) & set(ZERO_WRITES)
        }

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


StartOperator = Callable[..., OperatorProcess]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def start_operator(control_plane: RunningControlPlane, namespace: str, tmp_path: Path) -> Iterator[StartOperator]:
    """Start operators that watch the test's namespace and hold their Lease in it."""
    running: list[OperatorProcess] = []

    def start(*, kubeconfig: Path = control_plane.kubeconfig) -> OperatorProcess:
        metrics_port = free_port()
        log = tmp_path / f"operator-{len(running)}.log"
        environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "SPLAI_NAMESPACE": namespace,
            "SPLAI_WATCH_NAMESPACES": namespace,
            "SPLAI_HEALTH_PORT": str(free_port()),
            "SPLAI_METRICS_PORT": str(metrics_port),
            "SPLAI_ARTIFACTS_CLIENT_URL": "http://127.0.0.1:9",
        }
        command = [str(Path(sys.executable).parent / "splai"), "operator", "run"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        operator = OperatorProcess(process, metrics_port, log)
        running.append(operator)
        return operator

    yield start
    for operator in running:
        operator.stop(signal.SIGKILL)


@pytest.fixture
def operator(start_operator: StartOperator) -> OperatorProcess:
    """One operator that leads."""
    operator = start_operator()
    eventually(lambda: operator.leading, "the operator leads")
    return operator
