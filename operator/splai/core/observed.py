"""What the operator remembers of the objects it owns: the few fields decisions look at, and nothing of the rest.

Thousands of pods pass through the cache. A slim record of one takes a twentieth of its dict, and says in one place
which fields of Kubernetes' own objects SPLAI depends on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from splai.api.base import parse_time
from splai.core.field_ownership import Fields, applied_fields

JOB_LABEL = "splai.dev/inferencejob"
JOB_UID_LABEL = "splai.dev/inferencejob-uid"  # a pod may outlive its Job, and the next InferenceJob may take the name
BACKEND_LABEL = "splai.dev/modelbackend"
CHILD_LABEL = "splai.dev/child"
COMPONENT_LABEL = "app.kubernetes.io/component"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
OTHER_NODE: Final = "engine-worker"  # the component of a replica's pods behind the one that answers
REVISION_LABEL = "splai.dev/revision"  # ours: which pods are the newest needs no look at ReplicaSets then


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def controller_uid(metadata: Mapping[str, Any]) -> str | None:
    """The UID of the owner that is the object's controller."""
    return next((owner["uid"] for owner in metadata.get("ownerReferences", ()) if owner.get("controller")), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedCondition:
    """A condition of a built-in object."""

    status: str
    reason: str = ""
    message: str = ""
    since: datetime | None = None


def _conditions(status: Mapping[str, Any]) -> dict[str, ObservedCondition]:
    return {
        condition["type"]: ObservedCondition(
            status=condition["status"],
            reason=condition.get("reason") or "",
            message=condition.get("message") or "",
            since=_time(condition.get("lastTransitionTime")),
        )
        for condition in status.get("conditions") or ()
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedJob:
    """A batch/v1 Job."""

    namespace: str
    name: str
    uid: str
    owner_uid: str | None
    labels: Mapping[str, str]
    created: datetime | None
    deletion: datetime | None = None
    suspended: bool = False
    parallelism: int = 1
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0
    complete: ObservedCondition | None = None
    """The condition Complete once it is True."""
    failure: ObservedCondition | None = None
    """The condition Failed once it is True."""
    suspension: ObservedCondition | None = None
    """The condition Suspended once it was True; it turns False, and stays, when the Job is resumed."""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedJob":
        metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        conditions = _conditions(status)
        true = {kind: condition for kind, condition in conditions.items() if condition.status == "True"}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            owner_uid=controller_uid(metadata),
            labels=metadata.get("labels") or {},
            created=_time(metadata.get("creationTimestamp")),
            deletion=_time(metadata.get("deletionTimestamp")),
            suspended=bool(spec.get("suspend")),
            parallelism=spec.get("parallelism", 1),
            active=status.get("active") or 0,
            ready=status.get("ready") or 0,
            succeeded=status.get("succeeded") or 0,
            failed=status.get("failed") or 0,
            complete=true.get("Complete"),
            failure=true.get("Failed"),
            suspension=conditions.get("Suspended"),
        )

    @property
    def ended(self) -> ObservedCondition | None:
        """The condition that ended the Job, if one did."""
        return self.failure or self.complete

    @property
    def makes_pods_since(self) -> datetime | None:
        """When its controller began to; None while it has not, as far as is known."""
        if self.suspension is None:
            return self.created
        return self.suspension.since if self.suspension.status == "False" else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedContainer:
    """The state of one container, native sidecars included."""

    name: str
    ready: bool = False
    started: bool = False
    restarts: int = 0
    waiting_reason: str = ""
    """Such as CrashLoopBackOff, ImagePullBackOff, ErrImagePull, CreateContainerConfigError."""
    waiting_message: str = ""
    exit_code: int | None = None
    """Of the termination it is in, or else of the last one."""
    exit_reason: str = ""
    """Such as OOMKilled, Error, Completed."""
    exit_message: str = ""
    """What the container left as its termination message."""
    terminated: bool = False
    running_since: datetime | None = None

    @classmethod
    def from_status(cls, status: Mapping[str, Any]) -> "ObservedContainer":
        state = status.get("state") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
        return cls(
            name=status["name"],
            ready=bool(status.get("ready")),
            started=bool(status.get("started")),
            restarts=status.get("restartCount") or 0,
            waiting_reason=waiting.get("reason") or "",
            waiting_message=waiting.get("message") or "",
            exit_code=ended.get("exitCode"),
            exit_reason=ended.get("reason") or "",
            exit_message=ended.get("message") or "",
            terminated=bool(state.get("terminated")),
            running_since=_time((state.get("running") or {}).get("startedAt")),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedPod:
    """A pod of a child Job or of a backend's Deployment."""

    namespace: str
    name: str
    uid: str
    owner_uid: str | None
    labels: Mapping[str, str]
    created: datetime | None
    deletion: datetime | None = None
    """When it should be gone: the request's time and the grace period."""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    node: str = ""
    ready: bool = False
    never_ready: bool = False
    """For certain: what a container of it said, it said before anybody could have sent it a request."""
    failed_at: datetime | None = None
    """About when a pod that failed did: when one of its conditions changed last, or else when it was made."""
    scheduled: ObservedCondition | None = None
    containers: tuple[ObservedContainer, ...] = ()
    """Init containers first."""
    resource_claims: tuple[str, ...] = ()
    """What Dynamic Resource Allocation is asked for, each as the name of a claim or of the template of one."""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedPod":
        metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        conditions = _conditions(status)
        ready = conditions.get("Ready")
        labels = metadata.get("labels") or {}
        created = _time(metadata.get("creationTimestamp"))
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            owner_uid=controller_uid(metadata),
            labels={key: labels[key] for key in _POD_LABELS if key in labels},
            created=created,
            deletion=_time(metadata.get("deletionTimestamp")),
            phase=status.get("phase") or "Pending",
            reason=status.get("reason") or "",
            message=status.get("message") or "",
            node=spec.get("nodeName") or "",
            ready=ready is not None and ready.status == "True",
            never_ready=_never_ready(conditions),
            failed_at=_last_change(conditions, created) if status.get("phase") == "Failed" else None,
            scheduled=conditions.get("PodScheduled"),
            containers=tuple(
                ObservedContainer.from_status(container)
                for key in ("initContainerStatuses", "containerStatuses")
                for container in status.get(key) or ()
            ),
            resource_claims=tuple(_claim(claim) for claim in spec.get("resourceClaims") or ()),
        )

    @property
    def ended(self) -> bool:
        """No container runs any more, nor ever will."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def revision(self) -> str | None:
        """The hash of the Deployment's template that the pod was made from."""
        return self.labels.get(REVISION_LABEL)

    @property
    def is_other_node(self) -> bool:
        """Whether a backend's replica spans several nodes, and this is one of those that nobody asks."""
        return self.labels.get(COMPONENT_LABEL) == OTHER_NODE

    def container(self, name: str) -> ObservedContainer | None:
        """The container of that name, once the kubelet has reported it."""
        return next((container for container in self.containers if container.name == name), None)


def _claim(claim: Mapping[str, Any]) -> str:
    template = claim.get("resourceClaimTemplateName")
    return f"ResourceClaimTemplate {template}" if template else f"ResourceClaim {claim.get('resourceClaimName')}"


def _last_change(conditions: Mapping[str, ObservedCondition], created: datetime | None) -> datetime | None:
    return max((it.since for it in conditions.values() if it.since), default=created)


def _never_ready(conditions: Mapping[str, ObservedCondition]) -> bool:
    """The kubelet writes Ready=False when it first sees a pod, and its time moves only when the status does.

    Initialized is written at that moment too, or turns True later, so an older Ready has never been anything but False.
    """
    ready, initialized = conditions.get("Ready"), conditions.get("Initialized")
    if ready is None or initialized is None or ready.status != "False":
        return False
    return ready.since is not None and initialized.since is not None and ready.since <= initialized.since


_POD_LABELS = (JOB_LABEL, JOB_UID_LABEL, BACKEND_LABEL, CHILD_LABEL, COMPONENT_LABEL, REVISION_LABEL)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedApplied:
    """What is known of any child that is kept as it was applied."""

    namespace: str
    name: str
    uid: str
    owner_uid: str | None
    annotations: Mapping[str, str]
    applied: Fields
    """What we set and nobody has changed since."""
    deletion: datetime | None = None


def _applied(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of ObservedApplied."""
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "owner_uid": controller_uid(metadata),
        "annotations": metadata.get("annotations") or {},
        "applied": applied_fields(metadata),
        "deletion": _time(metadata.get("deletionTimestamp")),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedDeployment(ObservedApplied):
    """An apps/v1 Deployment."""

    generation: int = 0
    observed_generation: int = 0
    conditions: Mapping[str, ObservedCondition]

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedDeployment":
        metadata, status = body["metadata"], body.get("status") or {}
        return cls(
            **_applied(metadata),
            generation=metadata.get("generation") or 0,
            observed_generation=status.get("observedGeneration") or 0,
            conditions=_conditions(status),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedLeaderWorkerSet(ObservedApplied):
    """A leaderworkerset.x-k8s.io/v1 LeaderWorkerSet. It says of no generation that it was seen."""

    conditions: Mapping[str, ObservedCondition]
    """None before its controller has seen it."""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedLeaderWorkerSet":
        return cls(
            **_applied(body["metadata"]),
            conditions=_conditions(body.get("status") or {}),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedService(ObservedApplied):
    """A v1 Service."""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedService":
        return cls(**_applied(body["metadata"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedEvent:
    """A core/v1 Event about a pod: what the kubelet meets and no status holds, such as a volume that is missing."""

    reason: str
    """Such as FailedMount, FailedCreatePodSandBox, Unhealthy."""
    message: str
    at: datetime | None
    """When it was last seen."""

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedEvent":
        return cls(
            reason=str(body.get("reason") or ""),
            message=str(body.get("message") or ""),
            at=_time(last_seen(body)),
        )


def last_seen(event: Mapping[str, Any]) -> str:
    """RFC 3339 in UTC, so it sorts as text; which field holds it depends on who wrote the event."""
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return next((time for time in times if time), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedWorkload:
    """Kueue's Workload of a Job: what the queue says about it."""

    conditions: Mapping[str, ObservedCondition]

    @classmethod
    def from_object(cls, body: Mapping[str, Any]) -> "ObservedWorkload":
        return cls(conditions=_conditions(body.get("status") or {}))
