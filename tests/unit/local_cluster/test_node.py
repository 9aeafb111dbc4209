"""Waiting for a node and its GPUs: what passes by itself is waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_cluster import gpu, node
from local_cluster.errors import ClusterError
from local_cluster.kubectl import Kubectl
from tests.unit.local_cluster.conftest import Clock

KUBECTL = Kubectl(Path("kubectl"), Path("kubeconfig"))
GPUS = {gpu.RESOURCE: str(gpu.COUNT)}


class OneNode:
    """The node as kubectl shows and changes it; commands fail once each, and the kubelet takes its GPUs away once."""

    def __init__(self) -> None:
        self.failing: list[str] = []
        self.labels: dict[str, str] = {}
        self.status: dict[str, Any] = {"capacity": {}, "allocatable": {}}
        self.looks = 0
        self.zeroed_at_look = 0

    def kubectl(self, *arguments: str) -> str:
        command = arguments[0]
        if command in self.failing:
            self.failing.remove(command)
            raise ClusterError(f"kubectl {command} failed with 1:\nUnable to connect to the server: EOF")
        if command == "label":
            key, _, value = arguments[3].partition("=")
            self.labels[key] = value
        if command == "patch":
            self.status |= json.loads(arguments[-1])["status"]
        if command == "get":
            self.looks += 1
            if self.looks == self.zeroed_at_look:
                self.status |= {"capacity": {}, "allocatable": {}}
        shown = {"metadata": {"name": node.NAME, "labels": self.labels}, "status": self.status}
        return json.dumps({"items": [shown]} if "nodes" in arguments else shown)


@pytest.fixture
def one_node(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> OneNode:
    one_node = OneNode()
    monkeypatch.setattr(Kubectl, "__call__", one_node.kubectl)
    return one_node


def test_a_node_gets_its_gpus_and_its_label(one_node: OneNode) -> None:
    gpu.advertise(KUBECTL, node.NAME)

    assert one_node.status == {"capacity": GPUS, "allocatable": GPUS}
    assert one_node.labels == {gpu.PRODUCT_LABEL: gpu.PRODUCT}


def test_gpus_that_a_starting_kubelet_takes_away_are_given_again(one_node: OneNode) -> None:
    one_node.zeroed_at_look = 3

    gpu.advertise(KUBECTL, node.NAME)

    assert one_node.status["allocatable"] == GPUS


@pytest.mark.parametrize("command", ["get", "label", "patch"])
def test_an_apiserver_that_does_not_answer_for_a_moment_is_asked_again(one_node: OneNode, command: str) -> None:
    one_node.failing = [command]

    gpu.advertise(KUBECTL, node.NAME)

    assert one_node.failing == []
    assert one_node.status["allocatable"] == GPUS
    assert one_node.labels == {gpu.PRODUCT_LABEL: gpu.PRODUCT}


def test_an_apiserver_that_never_answers_is_told_in_its_words(one_node: OneNode) -> None:
    one_node.failing = ["get"] * 1000

    with pytest.raises(ClusterError, match=r"4 GPUs on .* within 60 s: (.|\n)*Unable to connect to the server"):
        gpu.advertise(KUBECTL, node.NAME)


def test_a_node_whose_apiserver_does_not_answer_is_not_ready_yet(one_node: OneNode) -> None:
    one_node.status["conditions"] = [{"type": "Ready", "status": "True"}]
    one_node.failing = ["get"]

    assert "Unable to connect to the server" in str(node.why_unready(KUBECTL))
    assert node.why_unready(KUBECTL) is None


def test_a_node_that_is_not_ready_says_why(one_node: OneNode) -> None:
    assert node.why_unready(KUBECTL) == "the kubelet has not registered it"

    one_node.status["conditions"] = [{"type": "Ready", "status": "False", "message": "cni plugin not initialized"}]

    assert node.why_unready(KUBECTL) == "cni plugin not initialized"
