"""Fake nodes by the thousand: KWOK plays the kubelets, its stages say what becomes of a node and of a pod.

with ControlPlane(tmp_path) as control_plane, Kwok(control_plane):
    create_nodes(control_plane, 1000)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from local_cluster import build, gpu, waiting
from local_cluster.api import Api, Json
from local_cluster.control_plane import ControlPlane
from local_cluster.process import Process

_ANNOTATION = "kwok.x-k8s.io/node"


def default_stages() -> list[Path]:
    """KWOK's own fast stages: nodes and pods are Ready at once, pods of Jobs succeed at once."""
    stages = build.programs("kwok") / "stage"
    return [
        stages / "node" / "fast" / "node-initialize.yaml",
        *(stages / "pod" / "fast" / f"pod-{stage}.yaml" for stage in ("ready", "complete", "delete")),
    ]


class Kwok:
    """KWOK beside a control plane: it manages the nodes that `create_nodes` made, and no others."""

    def __init__(self, control_plane: ControlPlane, *, stages: Sequence[Path] | None = None) -> None:
        """Play the given stage files; all of KWOK's own fast ones when none are given."""
        login = control_plane.component_kubeconfig("kwok", user="kwok", group="system:masters")
        configurations = default_stages() if stages is None else stages
        self._process = Process(
            "kwok",
            [
                build.program("kwok", "kwok"),
                f"--kubeconfig={login}",
                f"--manage-nodes-with-annotation-selector={_ANNOTATION}=fake",
                "--node-lease-duration-seconds=40",  # without a Lease all nodes are NotReady after that time
                *(f"--config={stage}" for stage in configurations),
            ],
            control_plane.directory,
            outlive=False,
        )

    @property
    def process(self) -> Process:
        """KWOK's process, to kill it or to read its log."""
        return self._process

    def start(self) -> None:
        """Start KWOK; nodes that exist are taken over."""
        self._process.start()

    def stop(self) -> None:
        """End KWOK: its nodes stay, and become NotReady when their leases end."""
        self._process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def create_nodes(
    control_plane: ControlPlane,
    count: int,
    *,
    prefix: str = "fake",
    gpus: int = 8,
    labels: Mapping[str, str] | None = None,
    seconds: float = 120,
) -> list[str]:
    """Create fake nodes with GPUs and wait until all of them are Ready; their names."""
    names = [f"{prefix}-{number}" for number in range(count)]
    with closing(control_plane.api()) as api:
        for name in names:
            api.create("/api/v1/nodes", _node(name, gpus, labels or {}))
        waiting.until(
            f"{count} fake nodes Ready", lambda: _first_unready(api, set(names)), seconds=seconds, interval=0.5
        )
    return names


def _node(name: str, gpus: int, labels: Mapping[str, str]) -> Json:
    resources = {"cpu": "64", "memory": "512Gi", "ephemeral-storage": "1Ti", "pods": "512", gpu.RESOURCE: str(gpus)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {_ANNOTATION: "fake"},
            "labels": {"kubernetes.io/hostname": name, "type": "kwok", gpu.PRODUCT_LABEL: gpu.PRODUCT, **labels},
        },
        "status": {"capacity": resources, "allocatable": resources},
    }


def _first_unready(api: Api, names: set[str]) -> str | None:
    for node in api.get("/api/v1/nodes?resourceVersion=0")["items"]:
        conditions = node["status"].get("conditions", [])
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            names.discard(node["metadata"]["name"])
    return f"{len(names)} of them are not, e.g. {min(names)}" if names else None
