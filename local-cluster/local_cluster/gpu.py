"""GPUs without a GPU: what a device plugin would report, written into the node's status.

Pods that ask for `nvidia.com/gpu` and select the product are scheduled, run, and wait when all GPUs are taken, as on
real ones; only the device itself is not there. A kubelet that starts sets resources of plugins it does not know to
zero, so this is repeated after each start, until the numbers stay.
"""

from __future__ import annotations

import json

from local_cluster import waiting
from local_cluster.errors import ClusterError
from local_cluster.kubectl import Kubectl

COUNT = 4
RESOURCE = "nvidia.com/gpu"
PRODUCT_LABEL = "nvidia.com/gpu.product"
PRODUCT = "NVIDIA-L4"

_LOOKS_IN_A_ROW = 3


def advertise(kubectl: Kubectl, node: str) -> None:
    """Give a node its GPUs and the label that names them; returns when they stay."""
    seen = 0

    def missing() -> str | None:
        nonlocal seen
        try:
            reason = _give_what_is_missing(kubectl, node)
        except ClusterError as error:  # which passes, as at an apiserver that is still busy with its start
            reason = str(error)
        seen = seen + 1 if reason is None else 0
        return None if seen == _LOOKS_IN_A_ROW else reason or f"{node} has reported them {seen} times in a row"

    waiting.until(f"{COUNT} GPUs on {node}", missing, seconds=60, interval=0.5)


def _give_what_is_missing(kubectl: Kubectl, node: str) -> str | None:
    """Give the node its label and its GPUs; None when it had the GPUs already, else what it reported."""
    found = json.loads(kubectl("get", "node", node, "-o", "json"))
    if found["metadata"]["labels"].get(PRODUCT_LABEL) != PRODUCT:
        kubectl("label", "node", node, f"{PRODUCT_LABEL}={PRODUCT}", "--overwrite")
    reported = found["status"]
    if all(reported[part].get(RESOURCE) == str(COUNT) for part in ("capacity", "allocatable")):
        return None
    resources = {RESOURCE: str(COUNT)}
    patch = json.dumps({"status": {"capacity": resources, "allocatable": resources}})
    kubectl("patch", "node", node, "--subresource=status", "--type=merge", "-p", patch)
    return f"{node} reported {reported['allocatable'].get(RESOURCE, 'none')}"
