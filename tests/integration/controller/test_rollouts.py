"""Rollouts where all GPUs are taken: the real scheduler says so, and Deployment and status follow.

KWOK plays the kubelet of a node with two GPUs, and the pods of both revisions answer as soon as they have a node.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_cluster.kwok import create_nodes
from tests.integration.controller.job_cluster import JobCluster
from tests.integration.controller.objects import Namespace, backend
from tests.integration.controller.operator_process import eventually

GPUS = 2
REVISION = "splai.dev/revision"


class Site:
    """A backend that holds all GPUs of its node, and what is seen of it."""

    def __init__(self, here: Namespace) -> None:
        self.here = here

    def apply(self, *, args: list[str], **spec: Any) -> None:
        selector = {"nodeSelector": {"only-for": self.here.name}}
        self.here.apply(backend(replicas=GPUS, resources={"gpu": {}}, template=selector, engine={"args": args}, **spec))

    def condition(self, condition_type: str) -> dict[str, Any]:
        return self.here.condition("mb", "tiny", condition_type)

    def answering(self) -> dict[str, int]:
        """Ready pods by revision, those that leave aside."""
        found: dict[str, int] = {}
        for pod in self.here.all("pods"):
            conditions = {it["type"]: it["status"] for it in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
                revision = pod["metadata"]["labels"][REVISION]
                found[revision] = found.get(revision, 0) + 1
        return found

    def strategy(self) -> dict[str, Any]:
        strategy: dict[str, Any] = self.here.get("deployment", "tiny")["spec"]["strategy"]["rollingUpdate"]
        return strategy

    def is_settled(self) -> bool:
        status = self.here.get("mb", "tiny").get("status", {})
        generation = self.here.get("mb", "tiny")["metadata"]["generation"]
        reconciling = self.condition("Reconciling")
        return status.get("observedGeneration") == generation and reconciling.get("reason") == "Settled"


@pytest.fixture
def site(job_cluster: JobCluster, tmp_path: Path) -> Iterator[Site]:
    """A node of the test's own, all of its GPUs held by the first revision."""
    with job_cluster.namespace() as here:
        processes = job_cluster.control_plane.processes
        (node,) = create_nodes(processes, 1, prefix=here.name, gpus=GPUS, labels={"only-for": here.name})
        operator = job_cluster.start_operator(here, tmp_path / "operator.log")
        site = Site(here)
        try:
            site.apply(args=["--one"])
            eventually(site.is_settled, "the first revision runs")
            yield site
        finally:
            operator.stop()
            job_cluster.control_plane.kubectl("delete", "node", node)


def test_a_rollout_that_waits_says_for_what_and_goes_on_when_a_gpu_is_freed(site: Site) -> None:
    (old,) = site.answering()

    site.apply(args=["--two"])

    eventually(lambda: site.condition("RolloutBlocked").get("status") == "True", "the rollout is blocked")
    message = site.condition("RolloutBlocked")["message"]
    assert "1 Insufficient nvidia.com/gpu" in message
    assert "(each pod asks for 1 nvidia.com/gpu)" in message
    assert site.condition("Ready")["reason"] == "RolloutBlocked"
    assert site.answering() == {old: GPUS}
    assert site.strategy() == {"maxSurge": 1, "maxUnavailable": 0}

    patch = json.dumps({"status": {"allocatable": {"nvidia.com/gpu": "3"}, "capacity": {"nvidia.com/gpu": "3"}}})
    site.here.run("patch", "node", f"{site.here.name}-0", "--subresource=status", "--type=merge", "-p", patch)

    eventually(site.is_settled, "the rollout is over")
    assert old not in site.answering()
    assert site.condition("Ready")["status"] == "True"
    assert site.condition("RolloutBlocked")["status"] == "False"


def test_old_pods_make_room_one_at_a_time_where_that_is_asked_for(site: Site) -> None:
    (old,) = site.answering()
    least = [GPUS]

    def is_over() -> bool:
        least.append(sum(site.answering().values()))
        return site.is_settled()

    site.apply(args=["--two"], rollout={"whenBlocked": "Replace"})

    eventually(is_over, "the rollout is over")
    assert old not in site.answering()
    assert min(least) >= GPUS - 1
    eventually(lambda: site.strategy() == {"maxSurge": 1, "maxUnavailable": 0}, "the strategy is the user's again")


def test_a_revision_that_never_worked_gives_its_gpus_to_the_one_that_corrects_it(site: Site) -> None:
    """A Deployment with maxUnavailable 0 would keep the pods that do not answer, and with them the GPUs, for ever."""
    for pod in site.here.all("pods"):
        not_ready = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]
        patch = json.dumps({"status": {"conditions": not_ready}})
        site.here.run("patch", "pod", pod["metadata"]["name"], "--subresource=status", "-p", patch)
    eventually(lambda: site.answering() == {}, "no pod answers")

    site.apply(args=["--two"])

    eventually(site.is_settled, "the correction runs")
