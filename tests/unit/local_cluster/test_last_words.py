"""The ends of all logs, as far as the cluster still tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_cluster import last_words
from local_cluster.errors import ClusterError
from local_cluster.kubectl import Kubectl

KUBECTL = Kubectl(Path("kubectl"), Path("kubeconfig"))


def pod(name: str, phase: str = "Running", *, restarts: int = 0) -> dict[str, Any]:
    status = {"phase": phase, "containerStatuses": [{"restartCount": restarts}]}
    return {"metadata": {"namespace": "splai-system", "name": name}, "status": status}


class Cluster:
    """Answers of kubectl by the command's end; what is not there fails."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = list(pods)
        self.logs: dict[str, str] = {}

    def kubectl(self, *arguments: str) -> str:
        if arguments[-2:] == ("-o", "json"):
            return json.dumps({"items": self.pods})
        if arguments[0] == "get":
            return f"the {arguments[1]}"
        name = arguments[2] + (" before" if "--previous" in arguments else "")
        if name not in self.logs:
            raise ClusterError(f"no log of {name}")
        return self.logs[name]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setattr(Kubectl, "__call__", cluster.kubectl)
    return cluster


def test_pods_warnings_and_the_end_of_each_log_are_told(cluster: Cluster) -> None:
    cluster.pods = [pod("operator"), pod("worker", "Succeeded")]
    cluster.logs = {"operator": "".join(f"line {number}\n" for number in range(100))}

    told = last_words.of_pods(KUBECTL)

    assert "the pods" in told
    assert "the events" in told
    assert "line 60" in told
    assert "line 59" not in told
    assert "worker" not in told


def test_of_a_pod_that_was_started_again_its_life_before_is_told_too(cluster: Cluster) -> None:
    cluster.pods = [pod("operator", restarts=1)]
    cluster.logs = {"operator": "leading", "operator before": "the lease is lost"}

    assert "the lease is lost" in last_words.of_pods(KUBECTL)


def test_a_log_that_cannot_be_read_hides_no_other(cluster: Cluster) -> None:
    cluster.pods = [pod("gateway"), pod("operator")]
    cluster.logs = {"operator": "leading"}

    told = last_words.of_pods(KUBECTL)

    assert "no log of gateway" in told
    assert "leading" in told


def test_a_cluster_that_is_away_is_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> str:
        raise ClusterError("the connection to the server was refused")

    monkeypatch.setattr(Kubectl, "__call__", refuse)

    assert last_words.of_pods(KUBECTL) == (
        "the cluster does not say what it has: the connection to the server was refused"
    )
