"""The cluster in Docker: kind with `kind-config.yaml`, and the same GPUs as on the local node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from local_cluster import gpu, paths
from local_cluster.builders import docker_answers
from local_cluster.command import run
from local_cluster.images import Image
from local_cluster.kubectl import Kubectl
from local_cluster.progress import step

NAME = "splai"
_NODE = f"{NAME}-control-plane"
_LOADED = paths.LOCAL / "kind-images.json"


def possible() -> bool:
    """Whether kind is installed and has a Docker daemon to talk to."""
    return shutil.which("kind") is not None and docker_answers()


def up(kubectl: Kubectl) -> None:
    """Create the cluster unless it exists, and write its kubeconfig."""
    if NAME not in run("kind", "get", "clusters").split():
        _LOADED.unlink(missing_ok=True)
        with step("creating the kind cluster"):
            configuration = paths.REPOSITORY / "kind-config.yaml"
            run("kind", "create", "cluster", f"--name={NAME}", f"--config={configuration}", "--wait=180s")
    run("kind", "export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={paths.KUBECONFIG}")
    paths.KUBECONFIG.chmod(0o600)
    gpu.advertise(kubectl, _NODE)


def load(image: Image) -> bool:
    """Hand an image to the cluster's node unless it has exactly this one; whether it had to."""
    loaded: dict[str, str] = json.loads(_LOADED.read_text()) if _LOADED.exists() else {}
    if loaded.get(image.name) == image.key:
        return False
    load_archive(image.archive)
    _LOADED.write_text(json.dumps(loaded | {image.name: image.key}))
    return True


def load_archive(archive: Path) -> None:
    """Hand any image archive to the cluster's node."""
    run("kind", "load", "image-archive", archive, f"--name={NAME}")


def down() -> None:
    """Delete the cluster."""
    run("kind", "delete", "cluster", f"--name={NAME}")
    _LOADED.unlink(missing_ok=True)
