"""Kueue's queues as an administrator makes them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.cluster import Namespace, run_kubectl
from tests.e2e.objects import GPU_PRODUCT

API = "kueue.x-k8s.io/v1beta1"
LOCAL_QUEUE = "batch"
OWNER_LABEL = "e2e-namespace"
PLENTY = {"cpu": "64", "memory": "256Gi"}


@dataclass(frozen=True)
class Queue:
    """The LocalQueue ``batch`` of a test's namespace, and behind it a ClusterQueue under the namespace's name."""

    namespace: Namespace

    def open(self) -> None:
        """Admit what fits."""
        self._stop_policy("None")

    def hold(self) -> None:
        """Admit nothing more; what was admitted goes on."""
        self._stop_policy("Hold")

    def drain(self) -> None:
        """Admit nothing more, and evict what was admitted."""
        self._stop_policy("HoldAndDrain")

    def make_priority_class(self, name: str, value: int) -> str:
        """A WorkloadPriorityClass; returns its name, which no other test has."""
        unique = f"{self.namespace.name}-{name}"
        metadata = {"name": unique, "labels": {OWNER_LABEL: self.namespace.name}}
        _apply({"apiVersion": API, "kind": "WorkloadPriorityClass", "metadata": metadata, "value": value})
        return unique

    def _stop_policy(self, policy: str) -> None:
        patch = json.dumps({"spec": {"stopPolicy": policy}})
        run_kubectl("patch", "clusterqueue", self.namespace.name, "--type=merge", "--patch", patch)


@contextmanager
def open_queue(namespace: Namespace, *, gpus: int) -> Iterator[Queue]:
    """A queue with so many GPUs of one product; a workload of higher priority takes them from one of lower."""
    name = namespace.name
    quotas = {**PLENTY, "nvidia.com/gpu": str(gpus)}
    flavor = {"name": name, "resources": [{"name": it, "nominalQuota": quota} for it, quota in quotas.items()]}
    _apply(
        {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": name}, "spec": {"nodeLabels": GPU_PRODUCT}}
    )
    _apply(
        {
            "apiVersion": API,
            "kind": "ClusterQueue",
            "metadata": {"name": name},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
                "preemption": {"withinClusterQueue": "LowerPriority"},
                "resourceGroups": [{"coveredResources": list(quotas), "flavors": [flavor]}],
            },
        }
    )
    namespace.apply(
        {"apiVersion": API, "kind": "LocalQueue", "metadata": {"name": LOCAL_QUEUE}, "spec": {"clusterQueue": name}}
    )
    try:
        yield Queue(namespace)
    finally:
        # They go when the last workload of the namespace has gone.
        run_kubectl("delete", f"clusterqueue/{name}", f"resourceflavor/{name}", "--wait=false")
        run_kubectl("delete", "workloadpriorityclass", "-l", f"{OWNER_LABEL}={name}")


def queued(job: dict[str, Any], *, queue: str = LOCAL_QUEUE, priority_class: str | None = None) -> dict[str, Any]:
    """The job with Kueue's labels."""
    labels = {"kueue.x-k8s.io/queue-name": queue}
    if priority_class is not None:
        labels["kueue.x-k8s.io/priority-class"] = priority_class
    return {**job, "metadata": {**job["metadata"], "labels": labels}}


def _apply(body: dict[str, Any]) -> None:
    run_kubectl("apply", "-f", "-", stdin=json.dumps(body))
