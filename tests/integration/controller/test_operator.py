"""The operator against a real apiserver: what it makes, heals, leaves alone, and when it ends."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.controller.conftest import StartOperator
from tests.integration.controller.objects import Namespace, backend, job
from tests.integration.controller.operator_process import OperatorProcess, eventually
from tests.integration.running_control_plane import RunningControlPlane


def test_a_backend_gets_a_deployment_and_a_service_for_few_writes(operator: OperatorProcess, here: Namespace) -> None:
    here.apply(backend())

    eventually(lambda: here.condition("mb", "tiny", "Scheduled").get("reason") == "Unschedulable", "it is judged")

    owner = here.get("deployment", "tiny")["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ModelBackend", "tiny", True)
    assert here.uid("service", "tiny")
    writes = operator.writes()
    assert sum(writes.values()) <= 8, writes


@pytest.mark.parametrize("kind", ["deployment", "service"])
def test_a_deleted_child_is_healed(operator: OperatorProcess, here: Namespace, kind: str) -> None:
    here.apply(backend())
    eventually(lambda: here.uid(kind, "tiny") is not None, "the child is made")
    first = here.uid(kind, "tiny")

    here.run("delete", kind, "tiny", "--wait=false")

    eventually(lambda: here.uid(kind, "tiny") not in (None, first), "another one is made")
    assert operator.process.poll() is None


@pytest.mark.usefixtures("operator")
def test_a_job_waits_for_its_backend_and_says_so(here: Namespace) -> None:
    here.apply(backend())
    here.apply(job(model="no-such-model"))

    eventually(
        lambda: here.condition("ij", "job", "BackendReady").get("reason") == "BackendNotFound", "the job says why"
    )

    assert "tiny-model" in here.condition("ij", "job", "BackendReady")["message"]
    assert here.get("ij", "job")["status"]["phase"] == "Pending"


@pytest.mark.usefixtures("operator")
def test_a_job_without_a_model_gets_the_one_default_backend(here: Namespace) -> None:
    default = {"routing": {"default": True}}
    one, two, without_model = backend(), backend("two"), job()
    del without_model["spec"]["model"]
    here.apply({**one, "spec": one["spec"] | default}, {**two, "spec": two["spec"] | default}, without_model)
    eventually(
        lambda: {here.condition("mb", name, "DefaultConflict").get("status") for name in ("tiny", "two")} == {"True"},
        "each default knows of the other",
    )
    eventually(lambda: "tiny, two" in here.condition("ij", "job", "BackendReady").get("message", ""), "so does the job")

    here.run("delete", "mb", "two", "--wait=false")

    eventually(lambda: here.get("ij", "job")["status"].get("backend") == "tiny", "the job has the one that is left")
    eventually(
        lambda: here.condition("mb", "tiny", "DefaultConflict").get("reason") == "OnlyDefault", "the conflict is over"
    )


@pytest.mark.usefixtures("operator")
def test_a_foreign_service_of_the_same_name_is_not_taken_over(here: Namespace) -> None:
    here.run("create", "service", "clusterip", "tiny", "--tcp=5678:8080")
    before = here.get("service", "tiny")

    here.apply(backend())

    eventually(lambda: here.condition("mb", "tiny", "Stalled").get("reason") == "NameConflict", "the conflict is told")
    assert "Service" in here.condition("mb", "tiny", "Stalled")["message"]
    assert here.get("service", "tiny") == before

    here.run("delete", "service", "tiny")
    eventually(lambda: here.condition("mb", "tiny", "Stalled").get("status") == "False", "it goes on by itself")


@pytest.mark.usefixtures("operator")
def test_children_that_a_deleted_backend_left_behind_are_the_next_ones_of_its_name(here: Namespace) -> None:
    here.apply(backend())
    eventually(lambda: here.uid("service", "tiny") is not None, "the children are made")
    children = {kind: here.uid(kind, "tiny") for kind in ("deployment", "service")}
    here.run("delete", "modelbackend", "tiny", "--cascade=orphan")

    here.apply(backend())

    owner = here.uid("modelbackend", "tiny")
    for kind in children:
        eventually(lambda: here.owner(kind, "tiny") == owner, f"the {kind} has the new owner")  # noqa: B023
    assert {kind: here.uid(kind, "tiny") for kind in children} == children


WEBHOOK = {
    "clientConfig": {"url": "https://127.0.0.1:9/nobody"},
    "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}],
    "failurePolicy": "Fail",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}


@pytest.fixture
def webhook(control_plane: RunningControlPlane, here: Namespace) -> Iterator[str]:
    """Of somebody else, who does not answer; its name."""
    name = f"{here.name}.example.org"
    only_here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": here.name}}}
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{"name": name, **WEBHOOK, **only_here}],
    }
    control_plane.kubectl("create", "-f", "-", input=json.dumps(body))
    yield name
    control_plane.kubectl("delete", "validatingwebhookconfiguration", name, "--ignore-not-found")


@pytest.mark.usefixtures("operator")
def test_a_webhook_that_does_not_answer_is_told_until_it_does(
    control_plane: RunningControlPlane, here: Namespace, webhook: str
) -> None:
    here.apply(backend())

    eventually(lambda: here.condition("mb", "tiny", "Ready").get("reason") == "InternalError", "the failure is told")
    assert f'failed calling webhook "{webhook}"' in here.condition("mb", "tiny", "Ready")["message"]

    control_plane.kubectl("delete", "validatingwebhookconfiguration", webhook)
    eventually(lambda: here.uid("deployment", "tiny") is not None, "it goes on by itself")


def test_it_is_healthy_when_kopf_watches_both_of_our_kinds(operator: OperatorProcess) -> None:
    eventually(lambda: operator.health == 200, "it is healthy")

    assert operator.healthz()["watches"] == 2


def test_sigterm_ends_it_in_order_and_frees_the_lease(operator: OperatorProcess, here: Namespace) -> None:
    assert operator.stop(signal.SIGTERM) == 0

    assert here.get("lease", "splai-operator")["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_only_one_operator_acts_and_the_other_takes_over(
    start_operator: StartOperator, here: Namespace, end: signal.Signals
) -> None:
    first = start_operator()
    eventually(lambda: first.leading, "the first leads")
    second = start_operator()
    eventually(lambda: bool(second.metric("splai_operator_leader")), "the second runs")
    here.apply(backend("one"))
    eventually(lambda: here.uid("deployment", "one") is not None, "the first acts")
    assert not second.leading
    assert second.writes() == {}

    first.stop(end)

    eventually(lambda: second.leading, "the second takes over")
    here.apply(backend("two"))
    eventually(lambda: here.uid("deployment", "two") is not None, "the second acts")


def test_a_missing_permission_ends_it_with_the_rules_name(
    control_plane: RunningControlPlane, start_operator: StartOperator, here: Namespace, tmp_path: Path
) -> None:
    """A ServiceAccount with every rule but one."""
    here.run("create", "serviceaccount", "limited")
    granted = {
        "children": "deployments.apps,jobs.batch,services,pods,configmaps",
        "own": "inferencejobs.splai.dev,modelbackends.splai.dev,leases.coordination.k8s.io,events.events.k8s.io",
        "backends": "modelbackends.splai.dev/status,modelbackends.splai.dev/finalizers",
        "jobs": "inferencejobs.splai.dev/finalizers",
    }
    for role, resources in granted.items():
        here.run("create", "role", role, "--verb=*", f"--resource={resources}")
        here.run("create", "rolebinding", role, f"--role={role}", f"--serviceaccount={here.name}:limited")
    token = here.run("create", "token", "limited").strip()
    kubeconfig = tmp_path / "limited"
    kubeconfig.write_text(control_plane.kubeconfig.read_text())
    flags = f"--kubeconfig={kubeconfig}"
    cluster = control_plane.kubectl("config", "view", "-o", "jsonpath={.contexts[0].context.cluster}")
    control_plane.kubectl("config", flags, "set-credentials", "limited", f"--token={token}")
    control_plane.kubectl("config", flags, "set-context", "limited", f"--cluster={cluster}", "--user=limited")
    control_plane.kubectl("config", flags, "use-context", "limited")

    operator = start_operator(kubeconfig=kubeconfig)

    assert operator.process.wait(timeout=60) == 2
    log = operator.log.read_text()
    assert f'patch inferencejobs/status (apiGroup \\"splai.dev\\") in namespace {here.name}' in log
    assert "modelbackends/status" not in log
