"""A real cluster takes what SPLAI is installed with, and each ServiceAccount may do what it should and no more."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from charts import render
from local_cluster import waiting
from tests.integration.running_control_plane import KubectlError, RunningControlPlane, empty_control_plane

CHART = str(render.CHART)
COMPONENTS = ["splai-artifacts", "splai-gateway", "splai-operator"]


def install(helm: Path, control_plane: RunningControlPlane, *arguments: str, namespace: str = "splai-system") -> str:
    """The README's command, with further arguments; returns what Helm tells the person who typed it."""
    command = [str(helm), f"--kubeconfig={control_plane.kubeconfig}", "upgrade", "--install", "splai", CHART]
    command += ["-n", namespace, "--create-namespace", *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cluster(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningControlPlane]:
    """A control plane with two installations: one for all namespaces, one in `ai` for two teams alone."""
    with empty_control_plane(tmp_path_factory.mktemp("installed")) as control_plane:
        for team in ("team-a", "team-b", "team-c"):
            control_plane.kubectl("create", "namespace", team)
        install(helm, control_plane)
        install(helm, control_plane, "--set=watchNamespaces={team-a,team-b}", namespace="ai")
        yield control_plane


def may(cluster: RunningControlPlane, account: str, *action: str) -> bool:
    """Whether a ServiceAccount, given as `namespace/name`, may do what `kubectl auth can-i` is asked."""
    user = "system:serviceaccount:" + account.replace("/", ":")
    groups = [f"--as-group=system:serviceaccounts:{account.partition('/')[0]}", "--as-group=system:serviceaccounts"]
    command = ["auth", "can-i", *action, f"--as={user}", *groups, "--as-group=system:authenticated"]
    try:
        return cluster.kubectl(*command).strip() == "yes"
    except KubectlError as refused:
        if str(refused):  # a plain "no" ends with 1 and says nothing on stderr
            raise
        return False


def pods_made(cluster: RunningControlPlane, namespace: str) -> str | None:
    """None when each Deployment has its pod, else what its ReplicaSets complain about."""
    deployments = json.loads(cluster.kubectl("-n", namespace, "get", "deployments", "--output=json"))["items"]
    if all(found.get("status", {}).get("replicas") == 1 for found in deployments) and len(deployments) == 3:
        return None
    return cluster.kubectl("-n", namespace, "get", "events", "--output=jsonpath={.items[*].message}")


def test_installing_again_changes_nothing_and_tells_what_to_do_next(helm: Path, cluster: RunningControlPlane) -> None:
    everything = ["-n", "splai-system", "get", "deployments,services,persistentvolumeclaims", "--output=name"]
    before = cluster.kubectl(*everything)

    notes = install(helm, cluster)

    assert cluster.kubectl(*everything) == before
    assert "port-forward svc/splai-splai-api-gateway 8080:8080" in notes


def test_helm_installs_the_resources_too(cluster: RunningControlPlane) -> None:
    names = cluster.kubectl("api-resources", "--api-group=splai.dev", "--output=name").split()

    assert sorted(names) == ["inferencejobs.splai.dev", "modelbackends.splai.dev"]


def test_the_classes_of_jobs_priorities_come_with_the_installation_for_all(cluster: RunningControlPlane) -> None:
    classes = json.loads(cluster.kubectl("get", "priorityclasses", "--output=json"))["items"]
    found = {it["metadata"]["name"]: (it["value"], it["preemptionPolicy"]) for it in classes}

    assert found["splai-interactive"] == (1000, "PreemptLowerPriority")
    assert found["splai-batch"] == (-10, "Never")


def test_plain_kubectl_installs_the_manifest_under_pod_security(own_control_plane: RunningControlPlane) -> None:
    for _ in range(2):
        own_control_plane.kubectl("apply", "-f", str(render.INSTALL))

    waiting.until("pods that Pod Security lets in", lambda: pods_made(own_control_plane, "splai-system"), seconds=60)


def test_kustomize_builds_the_same_objects(cluster: RunningControlPlane) -> None:
    built = cluster.kubectl("kustomize", str(render.INSTALL.parent))
    direct = cluster.kubectl("create", "--dry-run=client", "--output=name", "-f", str(render.INSTALL))

    named = cluster.kubectl("create", "--dry-run=client", "--output=name", "-f", "-", input=built)
    assert sorted(named.split()) == sorted(direct.split())


@pytest.mark.parametrize(
    ("account", "action", "allowed"),
    [
        ("splai-system/splai-operator", "list inferencejobs.splai.dev --all-namespaces", True),
        ("splai-system/splai-operator", "patch inferencejobs.splai.dev --subresource=status -n team-c", True),
        ("splai-system/splai-operator", "patch inferencejobs.splai.dev -n team-c", False),
        ("splai-system/splai-operator", "delete inferencejobs.splai.dev -n team-c", True),
        ("splai-system/splai-operator", "delete modelbackends.splai.dev -n team-c", False),
        ("splai-system/splai-operator", "list events -n team-c", True),
        ("splai-system/splai-operator", "list persistentvolumeclaims -n team-c", False),
        ("splai-system/splai-operator", "create jobs.batch -n team-c", True),
        ("splai-system/splai-operator", "get secrets -n splai-system", False),
        ("splai-system/splai-operator", "list secrets --all-namespaces", False),
        ("splai-system/splai-operator", "create pods --subresource=exec -n team-c", False),
        ("splai-system/splai-operator", "create pods -n team-c", False),
        ("splai-system/splai-operator", "update leases.coordination.k8s.io/splai-operator -n splai-system", True),
        ("splai-system/splai-operator", "update leases.coordination.k8s.io/other -n splai-system", False),
        ("splai-system/splai-operator", "create leases.coordination.k8s.io -n team-c", False),
        ("splai-system/splai-gateway", "watch modelbackends.splai.dev --all-namespaces", True),
        ("splai-system/splai-gateway", "watch endpointslices.discovery.k8s.io --all-namespaces", True),
        ("splai-system/splai-gateway", "list inferencejobs.splai.dev --all-namespaces", False),
        ("splai-system/splai-gateway", "patch modelbackends.splai.dev --subresource=status -n team-c", False),
        ("splai-system/splai-artifacts", "get /openid/v1/jwks", True),
        ("splai-system/splai-artifacts", "get /.well-known/openid-configuration", True),
        ("splai-system/splai-artifacts", "list pods -n splai-system", False),
        ("ai/splai-operator", "create jobs.batch -n team-a", True),
        ("ai/splai-operator", "watch inferencejobs.splai.dev -n team-b", True),
        ("ai/splai-operator", "watch inferencejobs.splai.dev -n team-c", False),
        ("ai/splai-operator", "watch inferencejobs.splai.dev --all-namespaces", False),
        ("ai/splai-gateway", "list endpointslices.discovery.k8s.io -n team-a", True),
        ("ai/splai-gateway", "list endpointslices.discovery.k8s.io --all-namespaces", False),
        ("ai/splai-artifacts", "get /openid/v1/jwks", True),
    ],
)
def test_service_account_may(cluster: RunningControlPlane, account: str, action: str, allowed: bool) -> None:
    assert may(cluster, account, *action.split()) is allowed
