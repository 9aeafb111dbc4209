"""Operators on the shared control plane, and a cluster on which jobs can finish."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.controller.job_cluster import JobCluster, running_job_cluster
from tests.integration.controller.objects import Namespace
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import RunningControlPlane

StartOperator = Callable[..., OperatorProcess]


@pytest.fixture
def here(control_plane: RunningControlPlane, namespace: str) -> Namespace:
    return Namespace(control_plane, namespace)


@pytest.fixture
def start_operator(control_plane: RunningControlPlane, namespace: str, tmp_path: Path) -> Iterator[StartOperator]:
    """Start operators that watch the test's namespace and hold their Lease in it."""
    running: list[OperatorProcess] = []

    def start(*, kubeconfig: Path = control_plane.kubeconfig) -> OperatorProcess:
        log = tmp_path / f"operator-{len(running)}.log"
        running.append(OperatorProcess.start(log, kubeconfig=kubeconfig, namespace=namespace))
        return running[-1]

    yield start
    for operator in running:
        operator.stop(signal.SIGKILL)


@pytest.fixture
def operator(start_operator: StartOperator) -> OperatorProcess:
    """One operator that leads."""
    operator = start_operator()
    eventually(lambda: operator.leading, "the operator leads")
    return operator


@pytest.fixture(scope="session")
def job_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobCluster]:
    """The cluster with nodes and an artifact server that the tests of a session share."""
    with running_job_cluster(tmp_path_factory.mktemp("job-cluster")) as cluster:
        yield cluster
