"""The cluster in Docker: kind with `kind-config.yaml`, and the same GPUs as on the local node."""

from __future__ import annotations

import shutil

from local_cluster import gpu, paths
from local_cluster.builders import docker_answers
from local_cluster.command import run
from local_cluster.images import Image
from local_cluster.kubectl import Kubectl
from local_cluster.progress import step

NAME = "splai"
_NODE = f"{NAME}-control-plane"


def possible() -> bool:
    """Whether kind is installed and has a Docker daemon to talk to."""
    return shutil.which("kind") is not None and docker_answers()


def up(kubectl: Kubectl) -> None:
    """Create the cluster unless it exists, and write its kubeconfig."""
    if NAME not in run("kind", "get", "clusters").split():
        with step("creating the kind cluster"):
            configuration = paths.REPOSITORY / "kind-config.yaml"
            run("kind", "create", "cluster", f"--name={NAME}", f"--config={configuration}", "--wait=180s")
    run("kind", "export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={paths.KUBECONFIG}")
    paths.KUBECONFIG.chmod(0o600)
    gpu.advertise(kubectl, _NODE)


def load(image: Image) -> None:
    """Hand an image to the cluster's node."""
    run("kind", "load", "image-archive", image.archive, f"--name={NAME}")


def down() -> None:
    """Delete the cluster."""
    run("kind", "delete", "cluster", f"--name={NAME}")
