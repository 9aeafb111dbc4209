"""One engine over several nodes: every node runs the same command with its rank, and the first one's address.

Both are what LeaderWorkerSet puts into each container's environment
(https://lws.sigs.k8s.io/docs/reference/labels-annotations-and-environment-variables/). They are there before the
container's own, so the kubelet fills them into its arguments.
"""

from typing import Any

Object = dict[str, Any]

RANK = "$(LWS_WORKER_INDEX)"
FIRST = "$(LWS_LEADER_ADDRESS)"

_ASKED = ("ports", "startupProbe", "readinessProbe", "livenessProbe")


def on_other_nodes(container: Object, *arguments: str) -> Object:
    """The same engine where nobody asks it: without a port and without a probe; ``arguments`` are for there alone."""
    rest = {name: value for name, value in container.items() if name not in _ASKED}
    return {**rest, "args": [*container["args"], *arguments]}
