"""Backends of several nodes on a real apiserver with LeaderWorkerSet's own CRD, and without it.

LeaderWorkerSet's controller does not run here: what it would make of a set is put there by the tests.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local_cluster import build
from tests.integration.controller.objects import Namespace, Object, backend
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import RunningControlPlane, running_control_plane

LWS = build.Module(name="lws", package="sigs.k8s.io/lws", cpu_minutes=0)
CRD = "leaderworkersets.leaderworkerset.x-k8s.io"
SET = ("lws", "tiny-nodes")
SPEC: dict[str, Any] = {
    "model": {"id": "tiny-model", "source": "hf://owner/name"},
    "engine": {"type": "vLLM"},
    "resources": {"nodes": 2, "gpu": {"count": 8}},
}


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """One of its own: what a cluster has installed is everybody's."""
    with running_control_plane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


def install(control_plane: RunningControlPlane) -> None:
    crd = build.go_module_folder(LWS) / "config" / "crd" / "bases" / "leaderworkerset.x-k8s.io_leaderworkersets.yaml"
    control_plane.kubectl("apply", "--server-side", "-f", str(crd))
    served = ("api-resources", "--cached=false", "--api-group=leaderworkerset.x-k8s.io", "--output=name")
    eventually(lambda: CRD in control_plane.kubectl(*served), "the kind is served")


@pytest.fixture
def installed(control_plane: RunningControlPlane) -> None:
    install(control_plane)


def pod_of_the_set(here: Namespace, name: str, *, template: str) -> None:
    """As LeaderWorkerSet's controller makes it; no scheduler looks at it, as there are no nodes."""
    made: Object = here.get(*SET)["spec"]["leaderWorkerTemplate"][template]
    metadata = {"name": name, "labels": made["metadata"]["labels"]}
    spec = made["spec"] | {"schedulerName": "nobody"}
    here.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def answer(here: Namespace, pod: str) -> None:
    """As the kubelet tells that the pod's probes pass."""
    now = "2026-01-01T00:00:00Z"
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("PodScheduled", "Ready")]
    status = {"status": {"phase": "Running", "conditions": conditions}}
    here.run("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps(status))


def is_missing(here: Namespace) -> bool:
    return here.condition("mb", "tiny", "Ready").get("reason") == "LeaderWorkerSetNotInstalled"


def test_without_it_a_condition_says_so_and_once_it_is_installed_the_operator_goes_on(
    control_plane: RunningControlPlane, operator: OperatorProcess, here: Namespace
) -> None:
    control_plane.kubectl("delete", "crd", CRD, "--ignore-not-found")
    here.apply(backend(**SPEC))
    eventually(lambda: is_missing(here), "the condition says it")
    assert here.condition("mb", "tiny", "Stalled")["status"] == "True"
    assert here.get("deployment", "tiny") == {}
    assert operator.health == 200

    install(control_plane)

    eventually(lambda: here.uid(*SET) is not None, "the set is made")
    eventually(lambda: here.condition("mb", "tiny", "Stalled").get("status") == "False", "it goes on")
    assert operator.process.poll() is None


@pytest.mark.usefixtures("installed", "operator")
def test_a_replica_of_two_nodes_is_ready_when_its_first_one_answers(here: Namespace) -> None:
    here.apply(backend(**SPEC))
    eventually(lambda: here.uid(*SET) is not None, "the set is made")
    owner = here.get(*SET)["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ModelBackend", "tiny", True)

    pod_of_the_set(here, "tiny-nodes-0", template="leaderTemplate")
    pod_of_the_set(here, "tiny-nodes-0-1", template="workerTemplate")
    answer(here, "tiny-nodes-0-1")
    eventually(lambda: here.get("mb", "tiny")["status"].get("replicas") == 1, "the pods are seen")
    assert not here.is_ready("tiny")

    answer(here, "tiny-nodes-0")

    eventually(lambda: here.is_ready("tiny"), "it is ready")
    status = here.get("mb", "tiny")["status"]
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    selected = here.run("get", "pods", "-l", status["selector"], "-o", "name").split()
    assert selected == ["pod/tiny-nodes-0"]


@pytest.mark.usefixtures("installed", "operator")
def test_a_set_that_somebody_changed_is_put_right_though_nothing_tells_of_it(here: Namespace) -> None:
    here.apply(backend(**SPEC))
    eventually(lambda: here.uid(*SET) is not None, "the set is made")
    image = "/spec/leaderWorkerTemplate/workerTemplate/spec/containers/0/image"
    edit = json.dumps([{"op": "replace", "path": image, "value": "example.com/other:1"}])

    here.run("patch", *SET, "--type=json", "-p", edit)

    def images() -> set[str]:
        pods = here.get(*SET)["spec"]["leaderWorkerTemplate"]
        return {pods[it]["spec"]["containers"][0]["image"] for it in ("leaderTemplate", "workerTemplate")}

    eventually(lambda: len(images()) == 1, "the edit is undone")
    assert "example.com/other:1" not in images()


@pytest.mark.usefixtures("installed")
def test_what_is_applied_is_not_applied_again(operator: OperatorProcess, here: Namespace) -> None:
    here.apply(backend(**SPEC))
    eventually(lambda: here.uid(*SET) is not None, "the set is made")
    generation = here.get(*SET)["metadata"]["generation"]

    operator.goes_on_for_a_while()

    assert here.get(*SET)["metadata"]["generation"] == generation
    writes = operator.writes()
    assert sum(count for labels, count in writes.items() if CRD in labels) == 1, writes


@pytest.mark.usefixtures("installed", "operator")
def test_a_backend_moves_from_one_to_several_nodes_and_back(here: Namespace) -> None:
    one_node = {**SPEC, "resources": {"gpu": {"count": 8}}}
    here.apply(backend(**one_node))
    eventually(lambda: here.uid("deployment", "tiny") is not None, "the Deployment is made")
    eventually(lambda: bool(here.all("pods")), "its pod is made")
    (old,) = here.all("pods")
    answer(here, old["metadata"]["name"])
    eventually(lambda: here.is_ready("tiny"), "it is ready")

    here.apply(backend(**SPEC))
    eventually(lambda: here.uid(*SET) is not None, "the set is made")
    pod_of_the_set(here, "tiny-nodes-0", template="leaderTemplate")
    pod_of_the_set(here, "tiny-nodes-0-1", template="workerTemplate")
    assert here.uid("deployment", "tiny") is not None
    answer(here, "tiny-nodes-0")
    eventually(lambda: here.uid("deployment", "tiny") is None, "the Deployment goes when the set serves")

    here.apply(backend(**one_node, replicas=0))
    eventually(lambda: here.uid(*SET) is None, "the set goes when nothing is wanted of it")
    assert here.uid("deployment", "tiny") is not None


@pytest.mark.usefixtures("installed", "operator")
def test_the_set_goes_with_its_backend(here: Namespace) -> None:
    here.apply(backend(**SPEC))
    eventually(lambda: here.uid(*SET) is not None, "the set is made")

    here.run("delete", "mb", "tiny", "--wait=false")

    eventually(lambda: here.uid(*SET) is None, "it is collected")
