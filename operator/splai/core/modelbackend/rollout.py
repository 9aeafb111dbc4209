"""How a new revision replaces the old one when no node has room for both.

The default starts a new pod before an old one leaves. Where all GPUs are taken the scheduler says so, and nothing moves
until somebody frees one. Two things are done about it, both by the own means of the Deployment or LeaderWorkerSet, one
replica at a time:

* ``rollout.whenBlocked: Replace`` lets an old pod leave first, from the first verdict until no old pod is left. That it
  was begun is written on it, so that each further pod need not wait for a verdict of its own.
* An old pod that does not answer serves nobody and may hold the very GPU: it makes room whatever ``whenBlocked`` is.
  Else a revision that never worked could not be corrected, because a Deployment with maxUnavailable 0 keeps its pods.
"""

from datetime import datetime, timedelta
from typing import Any

from splai.api.model_backend import Rollout
from splai.core.modelbackend.replicas import Replicas
from splai.core.observed import ObservedDeployment, ObservedLeaderWorkerSet

Object = dict[str, Any]

BLOCKED_AFTER = timedelta(seconds=15)
"""A scheduler that has just been asked often says no, and yes a moment later, when another pod has left."""
ROOM_ANNOTATION = "splai.dev/old-pods-make-room-for"
"""On the workload: the revision for which old pods leave first."""

_NONE = (0, "0%")


def rolling_update(rollout: Rollout) -> Object:
    """As apps/v1 RollingUpdateDeployment."""
    wire = rollout.to_wire()
    return {name: wire[name] for name in ("maxSurge", "maxUnavailable")}


def makes_room(
    rollout: Rollout,
    replicas: Replicas,
    workload: ObservedDeployment | ObservedLeaderWorkerSet | None,
    *,
    revision: str,
    now: datetime,
) -> bool:
    """Whether old pods leave before the new ones are there."""
    if not replicas.previous:
        return False
    replaces = rollout.when_blocked == "Replace"
    if replaces and workload is not None and workload.annotations.get(ROOM_ANNOTATION) == revision:
        return True
    since = replicas.without_node_since()
    if since is None or now - since < BLOCKED_AFTER:
        return False
    return replaces or not all(pod.ready for pod in replicas.previous)


def with_room(workload: Object, rollout: Rollout, revision: str) -> Object:
    """The workload with a strategy that makes room: without a surge, and with at least one replica to spare."""
    spare = rollout.max_unavailable if rollout.max_unavailable not in _NONE else 1
    update = {"maxSurge": 0, "maxUnavailable": spare}
    annotations = {ROOM_ANNOTATION: revision} if rollout.when_blocked == "Replace" else {}
    return {
        **workload,
        "metadata": {**workload["metadata"], "annotations": annotations},
        "spec": {**workload["spec"], **strategy(workload["kind"], update)},
    }


def strategy(kind: str, update: Object) -> Object:
    """How a Deployment, or a LeaderWorkerSet, is told what may be missing and what may be too many."""
    if kind == "Deployment":
        return {"strategy": {"type": "RollingUpdate", "rollingUpdate": update}}
    return {"rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": update}}
