"""The decision about one ModelBackend: apply what differs, say what is."""

from datetime import datetime
from typing import Any

from splai.api.model_backend import ModelBackendStatus
from splai.core.modelbackend.deployment import build_deployment, content_hash, revision
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
    deployment = _signed(build_deployment(backend, snapshot.settings))
    service = _signed(build_service(backend))
    actions = []
    if _differs(snapshot.own_deployment, deployment) or _scaled_by_others(snapshot):
        actions.append(Apply(deployment))
    if _differs(snapshot.own_service, service):
        actions.append(Apply(service))
    status = decide_status(snapshot, revision=revision(deployment), changing=bool(actions), now=now)
    return Plan(
        status=status,
        actions=tuple(actions),
        events=transitions(backend.status, status),
        requeue_after=next_look(snapshot, revision=revision(deployment), now=now),
    )


def _signed(body: dict[str, Any]) -> dict[str, Any]:
    """With a hash of itself, so that the next decision sees without a request whether it is applied."""
    metadata = {**body["metadata"], "annotations": {APPLIED_ANNOTATION: content_hash(body)}}
    return {**body, "metadata": metadata}


def _differs(live: ObservedDeployment | ObservedService | None, wanted: dict[str, Any]) -> bool:
    annotation = wanted["metadata"]["annotations"][APPLIED_ANNOTATION]
    if live is None:
        return True
    return live.deletion is None and live.annotations.get(APPLIED_ANNOTATION) != annotation


def _scaled_by_others(snapshot: BackendSnapshot) -> bool:
    live = snapshot.own_deployment
    return live is not None and live.deletion is None and live.wanted != snapshot.backend.spec.replicas
