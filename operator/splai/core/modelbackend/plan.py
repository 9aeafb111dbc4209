"""The decision about one ModelBackend: apply what differs, say what is."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from splai.api.model_backend import ModelBackendStatus
from splai.core.content_hash import content_hash
from splai.core.field_ownership import owns
from splai.core.modelbackend.autoscaling import as_decided, decide_autoscaling, scaling_events
from splai.core.modelbackend.replicas import Replicas
from splai.core.modelbackend.rollout import makes_room, with_room
from splai.core.modelbackend.service import build_service
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.modelbackend.status import decide_status, next_look, transitions
from splai.core.modelbackend.workload import LOOK_SECONDS, build_workload, former_workload, not_installed, revision
from splai.core.observed import ObservedDeployment, ObservedLeaderWorkerSet, ObservedService
from splai.core.plan import Action, Apply, Plan

APPLIED_ANNOTATION = "splai.dev/applied"


def plan(snapshot: BackendSnapshot, now: datetime) -> Plan[ModelBackendStatus]:
    """What to do now. A backend that is being deleted is left to the garbage collector."""
    backend = snapshot.backend
    if backend.metadata.get("deletionTimestamp"):
        return Plan(status=backend.status)
    autoscaling = decide_autoscaling(backend, snapshot.demand, now)
    snapshot = as_decided(snapshot)
    backend, rollout = snapshot.backend, snapshot.backend.spec.rollout
    workload = build_workload(backend, snapshot.settings)
    current, replicas = revision(workload), Replicas.of(snapshot, revision(workload))
    if makes_room(rollout, replicas, snapshot.own_workload, revision=current, now=now):
        workload = with_room(workload, rollout, current)
    workload = _signed(workload)
    service = _signed(build_service(backend))
    impossible = not_installed(snapshot)
    actions: list[Action] = []
    if impossible is not None:
        snapshot = replace(snapshot, refusals=(impossible, *snapshot.refusals))
    else:
        actions += former_workload(snapshot, replicas)
        if _differs(snapshot.own_workload, workload):
            actions.append(Apply(workload))
    if _differs(snapshot.own_service, service):
        actions.append(Apply(service))
    status = decide_status(snapshot, replicas, workload=workload, changing=bool(actions), now=now)
    status = status.model_copy(update={"autoscaling": autoscaling})
    looks = [next_look(snapshot, replicas, now), LOOK_SECONDS if snapshot.spans_nodes else None]
    return Plan(
        status=status,
        actions=tuple(actions),
        events=(*scaling_events(backend.status, status), *transitions(backend.status, status)),
        requeue_after=min((look for look in looks if look is not None), default=None),
    )


def _signed(body: dict[str, Any]) -> dict[str, Any]:
    """With a hash of itself, so that the next decision sees without a request whether it is applied."""
    annotations = {**body["metadata"].get("annotations", {}), APPLIED_ANNOTATION: content_hash(body)}
    metadata = {**body["metadata"], "annotations": annotations}
    return {**body, "metadata": metadata}


def _differs(
    live: ObservedDeployment | ObservedLeaderWorkerSet | ObservedService | None, wanted: dict[str, Any]
) -> bool:
    """Something else is wanted than was applied, or somebody has changed what was."""
    if live is None:
        return True
    if live.deletion is not None:
        return False
    metadata = wanted["metadata"]
    if live.annotations.get(APPLIED_ANNOTATION) != metadata["annotations"][APPLIED_ANNOTATION]:
        return True
    ours = {
        "metadata": {name: metadata[name] for name in ("labels", "annotations", "ownerReferences")},
        "spec": wanted["spec"],
    }
    return not owns(live.applied, ours)
