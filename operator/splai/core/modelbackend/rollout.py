"""How a new revision replaces the old one when no node has room for both.

The default starts a new pod before an old one leaves. Where all GPUs are taken the scheduler says so, and nothing moves
until somebody frees one. Two things are done about it, both by the Deployment's own means, one pod at a time:

* ``rollout.whenBlocked: Replace`` lets an old pod leave first, from the first verdict until no old pod is left. That it
  was begun is written on the Deployment, so that each further pod need not wait for a verdict of its own.
* An old pod that does not answer serves nobody and may hold the very GPU: it makes room whatever ``whenBlocked`` is.
  Else a revision that never worked could not be corrected, because a Deployment with maxUnavailable 0 keeps its pods.
"""

from datetime import datetime, timedelta
from typing import Any

from splai.api.model_backend import Rollout
from splai.core.modelbackend.replicas import Replicas
from splai.core.observed import ObservedDeployment

Object = dict[str, Any]

BLOCKED_AFTER = timedelta(seconds=15)
"""A scheduler that has just been asked often says no, and yes a moment later, when another pod has left."""
ROOM_ANNOTATION = "splai.dev/old-pods-make-room-for"
"""On the Deployment: the revision for which old pods leave first."""

_NONE = (0, "0%")


def rolling_update(rollout: Rollout) -> Object:
    """As apps/v1 RollingUpdateDeployment."""
    wire = rollout.to_wire()
    return {name: wire[name] for name in ("maxSurge", "maxUnavailable")}


def makes_room(
    rollout: Rollout, replicas: Replicas, deployment: ObservedDeployment | None, *, revision: str, now: datetime
) -> bool:
    """Whether old pods leave before the new ones are there."""
    if not replicas.previous:
        return False
    replaces = rollout.when_blocked == "Replace"
    if replaces and deployment is not None and deployment.annotations.get(ROOM_ANNOTATION) == revision:
        return True
    since = replicas.without_node_since()
    if since is None or now - since < BLOCKED_AFTER:
        return False
    return replaces or not all(pod.ready for pod in replicas.previous)


def with_room(deployment: Object, rollout: Rollout, revision: str) -> Object:
    """The Deployment with a strategy that makes room: without a surge, and with at least one pod to spare."""
    spare = rollout.max_unavailable if rollout.max_unavailable not in _NONE else 1
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": spare}}
    annotations = {ROOM_ANNOTATION: revision} if rollout.when_blocked == "Replace" else {}
    return {
        **deployment,
        "metadata": {**deployment["metadata"], "annotations": annotations},
        "spec": {**deployment["spec"], "strategy": strategy},
    }
