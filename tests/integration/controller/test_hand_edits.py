"""What others change in a backend's children is put right, what they add is left, and nobody fights."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.controller.objects import Namespace, Object, backend
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import RunningControlPlane

PORT = ("patch", "service", "tiny", "--type=json", "-p")
DEPLOYMENT = ("patch", "deployment", "tiny", "--type=json", "-p")
CONTAINER = "/spec/template/spec/containers/0"

REMOVE_OWNER = json.dumps([{"op": "remove", "path": "/metadata/ownerReferences"}])


def replace(path: str, value: Any) -> str:
    return json.dumps([{"op": "replace", "path": path, "value": value}])


EDITS = {
    "image": ("set", "image", "deployment/tiny", "engine=example.com/other:1"),
    "replicas": ("scale", "deployment", "tiny", "--replicas=3"),
    "removed probe": (*DEPLOYMENT, json.dumps([{"op": "remove", "path": f"{CONTAINER}/readinessProbe"}])),
    "container port": (*DEPLOYMENT, replace(f"{CONTAINER}/ports/0/containerPort", 9999)),
    "label": ("label", "deployment", "tiny", "app.kubernetes.io/managed-by-"),
    "owner": (*DEPLOYMENT, REMOVE_OWNER),
    "annotation": ("annotate", "deployment", "tiny", "splai.dev/applied-"),
    "rollout": (*DEPLOYMENT, replace("/spec/strategy/rollingUpdate/maxUnavailable", 1)),
    "service label": ("label", "service", "tiny", "splai.dev/modelbackend=other", "--overwrite"),
    "service owner": (*PORT, REMOVE_OWNER),
    "service port": (*PORT, replace("/spec/ports/0/port", 81)),
    "target port": (*PORT, replace("/spec/ports/0/targetPort", 9999)),
    "selector": (*PORT, replace("/spec/selector", {"app": "other"})),
    "taken over": (
        *("patch", "service", "tiny", "--type=merge", "--field-manager=other", "-p"),
        '{"spec": {"ports": [{"name": "other", "port": 80, "targetPort": 1}]}, "metadata": {"managedFields": [{}]}}',
    ),
}


class Settled:
    """The operator that runs, and what it has written since the last look."""

    def __init__(self, here: Namespace, logs: Path) -> None:
        self._here = here
        self._logs = logs
        self._seen: Counter[tuple[str, ...]] = Counter()

    def start(self) -> None:
        log = self._logs / f"{len(list(self._logs.iterdir()))}.log"
        kubeconfig = self._here.kubeconfig
        self.operator = OperatorProcess.start(log, kubeconfig=kubeconfig, namespace=self._here.name)
        eventually(lambda: self.operator.leading, "the operator leads")
        self._seen = Counter()

    def forget(self) -> None:
        """What was written until now is no test's; the one before has waited until nothing more came."""
        self._seen = self.operator.writes()

    def writes(self) -> Counter[tuple[str, ...]]:
        """After a while, in which a fight or a hot loop would show."""
        self.operator.goes_on_for_a_while()
        before, self._seen = self._seen, self.operator.writes()
        return self._seen - before


def content(here: Namespace, kind: str) -> Object:
    body = here.get(kind, "tiny")
    metadata = body.get("metadata", {})
    annotations = {
        name: text for name, text in metadata.get("annotations", {}).items() if name.startswith("splai.dev/")
    }
    owners = metadata.get("ownerReferences")
    return {"spec": body.get("spec"), "labels": metadata.get("labels"), "annotations": annotations, "owners": owners}


@pytest.fixture(scope="module")
def here(control_plane: RunningControlPlane) -> Namespace:
    """One namespace for all: each test leaves the backend as it was."""
    control_plane.kubectl("create", "namespace", "hand-edits")
    return Namespace(control_plane, "hand-edits")


@pytest.fixture(scope="module")
def settled(here: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settled]:
    """An operator, when all that a backend needs is there and judged; another one when it was stopped."""
    settled = Settled(here, tmp_path_factory.mktemp("hand-edits"))
    settled.start()
    here.apply(backend())
    eventually(lambda: here.condition("mb", "tiny", "Scheduled").get("reason") == "Unschedulable", "it is judged")
    settled.operator.goes_on_for_a_while()
    yield settled
    settled.operator.stop()


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_put_right_once(settled: Settled, here: Namespace, edit: str) -> None:
    kind = "service" if "service" in EDITS[edit] else "deployment"
    before, uid = content(here, kind), here.uid(kind, "tiny")
    settled.forget()

    here.run(*EDITS[edit])

    eventually(lambda: content(here, kind) == before, "it is as it was")
    made = settled.writes()
    assert content(here, kind) == before
    assert here.uid(kind, "tiny") == uid
    assert sum(count for labels, count in made.items() if any(kind in label for label in labels)) <= 3, made
    assert made.total() <= 8, made


def test_an_edit_while_no_operator_ran_is_put_right_at_its_start(settled: Settled, here: Namespace) -> None:
    before = content(here, "deployment")
    settled.operator.stop()
    here.run("set", "image", "deployment/tiny", "engine=example.com/other:1")

    settled.start()

    eventually(lambda: content(here, "deployment") == before, "it is as it was")


def test_a_restart_with_nothing_to_do_writes_nothing(settled: Settled, here: Namespace) -> None:
    eventually(lambda: here.get("mb", "tiny")["status"]["replicas"] == len(here.all("pods")), "its pods are counted")
    # Little news may wait 10 s for its turn: longer than one look.
    eventually(lambda: not any(settled.writes() for _ in range(3)), "all is said and done")
    settled.operator.stop()

    settled.start()

    assert settled.writes() == {}


def test_an_autoscaler_of_the_backend_is_followed(settled: Settled, here: Namespace) -> None:
    """It writes the scale of the ModelBackend, which is where replicas are asked for."""
    for replicas in (2, 1):
        here.run("scale", "modelbackend", "tiny", f"--replicas={replicas}")
        eventually(lambda: here.get("deployment", "tiny")["spec"]["replicas"] == replicas, "the Deployment follows")  # noqa: B023
        settled.writes()
        assert here.get("modelbackend", "tiny")["spec"]["replicas"] == replicas
        assert here.get("deployment", "tiny")["spec"]["replicas"] == replicas


def has_metrics_port(here: Namespace) -> bool:
    return {port["port"] for port in here.get("service", "tiny")["spec"]["ports"]} == {80, 9090}


def has_restarted(here: Namespace) -> bool:
    template = here.get("deployment", "tiny")["spec"]["template"]
    return "kubectl.kubernetes.io/restartedAt" in template["metadata"].get("annotations", {})


ADDITIONS: dict[str, tuple[tuple[str, ...], Callable[[Namespace], bool]]] = {
    "a restart": (("rollout", "restart", "deployment", "tiny"), has_restarted),
    "a port": (
        ("patch", "service", "tiny", "-p", '{"spec": {"ports": [{"name": "metrics", "port": 9090}]}}'),
        has_metrics_port,
    ),
}


@pytest.mark.parametrize("addition", ADDITIONS)
def test_what_others_add_is_left(settled: Settled, here: Namespace, addition: str) -> None:
    command, is_there = ADDITIONS[addition]
    settled.forget()

    here.run(*command)
    made = settled.writes()

    assert is_there(here)
    assert not [labels for labels in made if "apply" in labels], made
