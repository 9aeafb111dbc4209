"""Jobs to their end on a real apiserver: what they cost, and that no fault doubles anything."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.controller.job_cluster import JobCluster, describe
from tests.integration.controller.objects import Namespace, backend, job
from tests.integration.controller.operator_process import OperatorProcess, eventually

MANY = 60
WRITES_PER_JOB = 8

Start = Callable[..., OperatorProcess]


@pytest.fixture
def here(job_cluster: JobCluster) -> Iterator[Namespace]:
    with job_cluster.namespace() as namespace:
        yield namespace


@pytest.fixture
def start(job_cluster: JobCluster, here: Namespace, tmp_path: Path) -> Iterator[Start]:
    """Start operators that can reach the artifact server."""
    running: list[OperatorProcess] = []

    def start(**settings: str) -> OperatorProcess:
        running.append(job_cluster.start_operator(here, tmp_path / f"operator-{len(running)}.log", **settings))
        return running[-1]

    yield start
    for operator in running:
        operator.stop(signal.SIGKILL)


def with_backend(here: Namespace) -> None:
    here.apply(backend())
    eventually(lambda: here.is_ready("tiny"), "the backend is ready")


def all_completed(here: Namespace, count: int) -> Callable[[], bool]:
    return lambda: list(here.phases().values()) == ["Completed"] * count


def test_a_job_completes_for_few_writes(job_cluster: JobCluster, here: Namespace, start: Start) -> None:
    operator = start()
    with_backend(here)
    operator.goes_on_for_a_while()
    before = len(job_cluster.writes(here))

    here.apply(job())
    eventually(all_completed(here, 1), "the job is completed")
    operator.goes_on_for_a_while()

    writes = [describe(request) for request in job_cluster.writes(here)[before:]]
    assert 0 < len(writes) <= WRITES_PER_JOB, writes
    assert len([write for write in writes if write.startswith("create events")]) >= 1, writes
    operator.goes_on_for_a_while()
    assert len(job_cluster.writes(here)) == before + len(writes)


def test_an_operator_that_is_killed_in_the_middle_of_many_jobs_leaves_one_child_each(
    job_cluster: JobCluster, here: Namespace, start: Start
) -> None:
    operator = start(SPLAI_RECONCILE_WORKERS="1")  # so that the middle can be met
    with_backend(here)
    applying = threading.Thread(target=here.apply, args=[job(f"job-{number}") for number in range(MANY)])
    applying.start()
    eventually(lambda: len(job_cluster.created_children(here)) >= MANY // 4, "a quarter of the jobs have a child")
    operator.stop(signal.SIGKILL)
    assert len(job_cluster.created_children(here)) < MANY
    applying.join()

    start()

    eventually(all_completed(here, MANY), "all jobs are completed", seconds=180)
    assert here.children() == {f"job-{number}": [f"job-{number}-0"] for number in range(MANY)}
    assert len(job_cluster.created_children(here)) == MANY


class Supervisor:
    """Starts an operator again when it has ended, as the kubelet does."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._stopping = threading.Event()
        self.codes: list[int] = []
        self.operator = start()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(0.5):
            code = self.operator.process.poll()
            if code is not None:
                self.codes.append(code)
                self.operator = self._start()


def test_an_outage_of_the_apiserver_in_mid_job_doubles_nothing(
    job_cluster: JobCluster, here: Namespace, start: Start
) -> None:
    """The leader ends when it could not renew its Lease, as others might act; what starts instead goes on."""
    supervisor = Supervisor(start)
    try:
        with_backend(here)
        names = [f"job-{number}" for number in range(5)]
        waiting = {"template": {"nodeSelector": {"outage": "is-over"}}}
        here.apply(*(job(name, workers=waiting) for name in names))
        eventually(lambda: len(here.children()) == len(names), "the workers wait for a node")

        leader = supervisor.operator
        job_cluster.control_plane.kill("kube-apiserver")
        assert leader.health == 200
        eventually(lambda: supervisor.operator is not leader, "the leader has ended, and another one is started")
        job_cluster.control_plane.start()
        job_cluster.control_plane.kubectl("label", "nodes", "--all", "outage=is-over")

        eventually(all_completed(here, len(names)), "all jobs are completed", seconds=180)
        # The nodes were found not ready meanwhile, and KWOK does not tell when a pod is ready again: a new one is.
        here.run("delete", "pods", "--selector=app.kubernetes.io/component=engine", "--wait=false")
        here.apply(job("afterwards"))
        eventually(all_completed(here, len(names) + 1), "new jobs are completed")
        assert here.children() == {name: [f"{name}-0"] for name in [*names, "afterwards"]}
        assert len(job_cluster.created_children(here)) == len(names) + 1
        assert set(supervisor.codes) == {1}
    finally:
        supervisor.stop()
        job_cluster.control_plane.start()
