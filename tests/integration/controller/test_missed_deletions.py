"""A DELETE that nobody told the operator of is noticed all the same."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from splai.controller.caches import Caches
from splai.controller.queue import Key
from splai.controller.resync import Resync
from splai.kube.client import Client
from splai.kube.connection import load_configuration
from tests.integration.controller.conftest import StartOperator
from tests.integration.controller.job_cluster import JobCluster
from tests.integration.controller.objects import Namespace, backend, job
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import RunningControlPlane

NOWHERE = {"template": {"nodeSelector": {"there": "is-no-such-node"}}}
CHILDREN = (("deployment", "tiny"), ("service", "tiny"))


@pytest.fixture
def job_namespace(job_cluster: JobCluster) -> Iterator[Namespace]:
    with job_cluster.namespace() as namespace:
        yield namespace


@pytest.mark.parametrize("away", [signal.SIGSTOP, signal.SIGKILL])
def test_children_that_are_deleted_while_the_operator_is_away_are_made_again(
    job_cluster: JobCluster, job_namespace: Namespace, tmp_path: Path, away: signal.Signals
) -> None:
    operator = job_cluster.start_operator(job_namespace, tmp_path / "first.log")
    running = [operator]
    try:
        job_namespace.apply(backend(), job(workers=NOWHERE))
        eventually(lambda: bool(job_namespace.children()), "the job's child is made")
        before = {child: job_namespace.uid(*child) for child in CHILDREN}
        (lost,) = job_namespace.all("jobs")

        operator.process.send_signal(away)
        for kind, name in (*CHILDREN, ("job", lost["metadata"]["name"])):
            job_namespace.run("delete", kind, name)
        if away == signal.SIGSTOP:
            operator.process.send_signal(signal.SIGCONT)
        else:
            running.append(job_cluster.start_operator(job_namespace, tmp_path / "second.log"))

        for child, uid in before.items():
            eventually(lambda child=child, uid=uid: job_namespace.uid(*child) not in (None, uid), f"{child} is healed")  # type: ignore[misc]
        eventually(lambda: len(job_namespace.all("jobs")) == 1, "the job's child is healed")
        assert job_namespace.all("jobs")[0]["metadata"]["uid"] != lost["metadata"]["uid"]
        assert running[-1].process.poll() is None
    finally:
        for process in running:
            process.stop(signal.SIGKILL)


@pytest.fixture
async def client(control_plane: RunningControlPlane, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))
    client = Client(await load_configuration(), component="test")
    yield client
    await client.close()


@pytest.mark.parametrize("kind", ["deployment", "service", "modelbackend"])
async def test_a_deletion_that_no_watch_told_is_found_by_the_resync(
    client: Client, start_operator: StartOperator, here: Namespace, kind: str
) -> None:
    """No watch feeds these caches: every deletion is one that was missed."""
    operator = start_operator()
    here.apply(backend())
    eventually(lambda: all(here.uid(*child) for child in CHILDREN), "the children are made")
    operator.stop()
    keys: set[Key] = set()
    resync = Resync(client, Caches(lambda key, _delay: keys.add(key)), namespaces=(here.name,))
    await resync.once()
    keys.clear()
    await resync.once()
    assert keys == set()

    here.run("delete", kind, "tiny", "--cascade=orphan")
    await resync.once()

    assert keys == {Key("ModelBackend", here.name, "tiny")}


def test_the_operators_own_watch_tells_it_without_a_resync(operator: OperatorProcess, here: Namespace) -> None:
    here.apply(backend())
    eventually(lambda: here.uid("service", "tiny") is not None, "the child is made")
    first = here.uid("service", "tiny")

    here.run("delete", "service", "tiny")

    eventually(lambda: here.uid("service", "tiny") not in (None, first), "it is made again", seconds=20)
    assert "deletion noticed late" not in operator.log.read_text()
