"""The decision about one ModelBackend: apply what differs, say what is."""

from datetime import datetime
from typing import Any

from splai.api.model_backend import ModelBackendStatus
from splai.core.content_hash import content_hash
from splai.core.field_ownership import owns
from splai.core.modelbackend.deployment import build_deployment, revision
from splai.core.modelbackend.replicas import Replicas
from splai.core.modelbackend.rollout import makes_room, with_room
from splai.core.modelbackend.service import build_service
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.modelbackend.status import decide_status, next_look, transitions
from splai.core.observed import ObservedDeployment, ObservedService
from splai.core.plan import Apply, Plan

APPLIED_ANNOTATION = "splai.dev/applied"


def plan(snapshot: BackendSnapshot, now: datetime) -> Plan[ModelBackendStatus]:
    """What to do now. A backend that is being deleted is left to the garbage collector."""
    backend = snapshot.backend
    if backend.metadata.get("deletionTimestamp"):
        return Plan(status=backend.status)
    deployment = build_deployment(backend, snapshot.settings)
    target, replicas = revision(deployment), Replicas.of(snapshot, revision(deployment))
    rollout = backend.spec.rollout
    if makes_room(rollout, replicas, snapshot.own_deployment, revision=target, now=now):
        deployment = with_room(deployment, rollout, target)
    deployment = _signed(deployment)
    service = _signed(build_service(backend))
    actions = []
    if _differs(snapshot.own_deployment, deployment):
        actions.append(Apply(deployment))
    if _differs(snapshot.own_service, service):
        actions.append(Apply(service))
    status = decide_status(snapshot, replicas, deployment=deployment, changing=bool(actions), now=now)
    return Plan(
        status=status,
        actions=tuple(actions),
        events=transitions(backend.status, status),
        requeue_after=next_look(snapshot, replicas, now),
    )


def _signed(body: dict[str, Any]) -> dict[str, Any]:
    """With a hash of itself, so that the next decision sees without a request whether it is applied."""
    annotations = {**body["metadata"].get("annotations", {}), APPLIED_ANNOTATION: content_hash(body)}
    metadata = {**body["metadata"], "annotations": annotations}
    return {**body, "metadata": metadata}


def _differs(live: ObservedDeployment | ObservedService | None, wanted: dict[str, Any]) -> bool:
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
