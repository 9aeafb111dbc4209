"""What the pods of a cluster said last, for whoever looks for the reason of a test that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from local_cluster.errors import ClusterError
from local_cluster.kubectl import Kubectl

_LINES = 40


def of_pods(kubectl: Kubectl) -> str:
    """The pods, the newest warnings, and the ends of all logs but of pods that ended well."""
    commands: list[tuple[str, ...]] = [
        ("get", "pods", "--all-namespaces"),
        ("get", "events", "--all-namespaces", "--field-selector=type=Warning", "--sort-by=.metadata.creationTimestamp"),
    ]
    try:
        commands += _log_commands(kubectl)
    except ClusterError as error:
        return f"the cluster does not say what it has: {error}"
    return "\n\n".join(_said(kubectl, command) for command in commands)


def _log_commands(kubectl: Kubectl) -> Iterator[tuple[str, ...]]:
    """One for each pod, and one more for each that was started again: why is in the log of its life before."""
    for pod in json.loads(kubectl("get", "pods", "--all-namespaces", "-o", "json"))["items"]:
        metadata, status = pod["metadata"], pod["status"]
        if status["phase"] == "Succeeded":
            continue
        where = (f"--namespace={metadata['namespace']}", metadata["name"])
        command = ("logs", *where, "--all-containers", "--prefix", f"--tail={_LINES}")
        yield command
        if any(container["restartCount"] for container in status.get("containerStatuses", [])):
            yield (*command, "--previous")


def _said(kubectl: Kubectl, command: tuple[str, ...]) -> str:
    try:
        said = kubectl(*command)
    except ClusterError as error:
        said = str(error)
    return "\n".join([f"$ kubectl {' '.join(command)}", *said.splitlines()[-_LINES:]])
