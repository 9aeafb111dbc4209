"""What runs beside SPLAI in many clusters, for tests with the real thing: Kueue and Argo Workflows.

Each is installed from the manifests of the very Go module that its programs were built from. The kustomization.yaml
beside its go.mod says what differs from a released installation: the images, and what it leaves out.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from local_cluster import build, paths, waiting
from local_cluster.command import run
from local_cluster.errors import ClusterError
from local_cluster.kubectl import Kubectl
from local_cluster.progress import step

_SERVES_SECONDS = 240


@dataclass(frozen=True)
class Neighbour:
    """One of them, under the name of its Go module's folder."""

    name: str
    programs: tuple[str, ...]
    """Each is an image."""
    namespace: str
    deployment: str
    probe: str = ""
    """An object that only its webhooks let pass: they answer some time after the deployment is ready."""

    @property
    def version(self) -> str:
        """The version that go.mod requires."""
        return build.MODULES[self.name].version


_RESOURCE_FLAVOR = """\
apiVersion: kueue.x-k8s.io/v1beta1
kind: ResourceFlavor
metadata: {name: probe}
"""

NEIGHBOURS = {
    neighbour.name: neighbour
    for neighbour in (
        Neighbour(
            name="kueue",
            programs=("kueue",),
            namespace="kueue-system",
            deployment="kueue-controller-manager",
            probe=_RESOURCE_FLAVOR,
        ),
        Neighbour(
            name="argo-workflows",
            programs=("workflow-controller", "argoexec"),
            namespace="argo",
            deployment="workflow-controller",
        ),
    )
}


def find(name: str) -> Neighbour:
    """The neighbour of that name."""
    if name not in NEIGHBOURS:
        raise ClusterError(f"unknown neighbour {name}; there are: {', '.join(NEIGHBOURS)}")
    return NEIGHBOURS[name]


def install(neighbour: Neighbour, kubectl: Kubectl) -> None:
    """Apply its manifests, again if need be, and wait until it serves."""
    with step(f"installing {neighbour.name} {neighbour.version}"):
        kubectl.apply(manifests(neighbour, kubectl.program))
        waiting.until(
            f"{neighbour.name}'s readiness",
            lambda: missing(neighbour, kubectl),
            seconds=_SERVES_SECONDS,
            interval=1,
        )


def missing(neighbour: Neighbour, kubectl: Kubectl) -> str | None:
    """Why it does not serve in the cluster, or None when it does."""
    try:
        rollout = ("rollout", "status", f"deployment/{neighbour.deployment}", "--timeout=5s")
        kubectl(f"--namespace={neighbour.namespace}", *rollout)
        if neighbour.probe:
            kubectl("create", "--dry-run=server", "-f", "-", text=neighbour.probe)
    except ClusterError as error:
        return str(error)
    return None


def manifests(neighbour: Neighbour, kubectl: Path) -> str:
    """Its objects, as kustomize makes them from the Go module's manifests and ours."""
    with TemporaryDirectory(prefix=f"{neighbour.name}-manifests-") as directory:
        upstream = build.programs(neighbour.name) / build.MODULES[neighbour.name].extra
        shutil.copytree(upstream, Path(directory) / upstream.name)
        for file in (paths.SOURCES / neighbour.name).glob("*.yaml"):
            shutil.copy(file, directory)
        return run(kubectl, "kustomize", directory)
